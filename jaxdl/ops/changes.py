"""Which random changes training images undergo; imports no JAX. `augmentation` makes them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Which random changes images in [0, 1] undergo, and how large they are; by default none."""

    degrees: float = 0.0
    """Largest angle by which a training image is turned, either way."""
    scale: float = 0.0
    """Largest share by which a training image's height and width become larger or smaller."""
    shear: float = 0.0
    """Largest shear of a training image's rows and columns, as a tangent."""
    shift: float = 0.0
    """Largest move of a training image, in pixels."""
    flip: bool = False
    """Mirror a training image left to right half the time."""
    brightness: float = 0.0
    """Largest share by which a training image becomes brighter or darker."""
    noise: float = 0.0
    """Standard deviation of the noise that is added to a training image's pixels."""
