"""What defines distillation; imports no JAX."""

from dataclasses import dataclass
from typing import Literal

FeatureLoss = Literal["none", "hint", "attention", "similarity", "distance", "distance and angle"]


@dataclass(frozen=True, kw_only=True)
class Distill:
    """What defines the training of a student by its teachers."""

    temperature: float = 4.0
    """Temperature of the soft targets (T)."""
    hard: float = 0.1
    """Share of the cross-entropy with the labels in the student's loss; with 0 none are needed."""
    loss: Literal["divergence", "decoupled"] = "divergence"
    """Loss of the soft targets: their divergence, or what the teacher says of the labelled class
    and of the others weighed apart (Zhao et al., 2022)."""
    feature_loss: FeatureLoss = "none"
    """What the student learns from the features of its one teacher: their values (hint), where they
    are active, which images are alike, or how far and at which angles these are from one another,
    weighed 1 to 2 (Park et al., 2019)."""
    feature_weight: float = 1.0
    """Weight of the loss of the features."""
    tap: str = "features"
    """Where the features are: what a network sows by that name, or the path of a submodule."""
    mean: float = 0.0
    """Subtracted from each of the student's pixels, which are in [0, 1]."""
    deviation: float = 1.0
    """By which the student's pixels are divided once the mean is subtracted."""
    microbatch: int | None = None
    """Images that a device takes at once, to save memory; batch statistics and relations between
    images are then theirs."""
