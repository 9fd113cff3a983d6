"""What defines an ensemble; imports no JAX."""

from dataclasses import dataclass

from jaxdl.train.options import Fact


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """What defines the training of several networks in one step."""

    members: int = 5
    """Networks, each with parameters and batches of its own (M)."""
    rate_factors: tuple[float, ...] = ()
    """Learning rate of each network as a multiple of the optimizer's; none for 1."""
    label_smoothing: float = 0.0
    """Share of the target that all classes have alike (Szegedy et al., 2016)."""
    classes: Fact[int] = 10
    """Classes to tell apart (A)."""
    mean: float = 0.0
    """Subtracted from each pixel, which is in [0, 1]."""
    deviation: float = 1.0
    """By which each pixel is divided once the mean is subtracted."""
