"""What defines each supervised method; imports no JAX."""

from dataclasses import dataclass
from typing import Literal

from jaxdl.ops.changes import Changes
from jaxdl.train.options import Fact


@dataclass(frozen=True, kw_only=True)
class Classifier(Changes):
    """What defines the training of a classifier; changes of images are of those in [0, 1]."""

    classes: Fact[int] = 10
    """Classes to tell apart (A)."""
    mean: float = 0.0
    """Subtracted from each pixel, which is in [0, 1], after the changes."""
    deviation: float = 1.0
    """By which each pixel is divided once the mean is subtracted."""
    mixup: float = 0.0
    """Mix two images and their labels by a share from Beta(mixup, mixup) (Zhang et al., 2018); 0
    for not at all."""
    label_smoothing: float = 0.0
    """Share of the target that all classes have alike (Szegedy et al., 2016)."""
    average_decay: float = 0.0
    """Share of the averaged parameters, which are tested, that a step keeps; 0 for no average."""
    microbatch: int | None = None
    """Images that a device takes at once, to save memory; batch statistics are then theirs."""


@dataclass(frozen=True, kw_only=True)
class Multitask:
    """What defines the training of several tasks from the same images."""

    weighting: Literal["equal", "uncertainty"] = "equal"
    """Weights of the tasks' losses: equal, or learned from how uncertain each is (Kendall et al.,
    2018)."""
    surgery: bool = False
    """Take out of each task's gradient what would harm another (Yu et al., 2020): one backward pass
    for each task, all in the same program."""
    coupling: float = 0.0
    """Of soft sharing: weight of half the spread of the tasks' trunks in the loss; with 0 they are
    networks of their own."""
    mean: float = 0.0
    """Subtracted from each pixel, which is in [0, 1]."""
    deviation: float = 1.0
    """By which each pixel is divided once the mean is subtracted."""
