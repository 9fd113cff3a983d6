"""Protocols of anomaly detection on labelled images: one class is the anomaly.

Shapes: n images, H W image, C channels.
"""

from typing import Literal, NamedTuple

import numpy as np

Protocol = Literal["pooled", "official"]


class Split(NamedTuple):
    """What a detector is trained, calibrated and judged on; no image is in two of them."""

    train: np.ndarray
    """Healthy images [n, H, W, C], uint8."""
    validation: np.ndarray
    """Healthy images [n, H, W, C] for thresholds and selection."""
    test: np.ndarray
    """Healthy and anomalous images [n, H, W, C]."""
    anomalous: np.ndarray
    """bool [n], of the test images."""


def split(
    data: dict[str, dict[str, np.ndarray]], anomaly: int, protocol: Protocol, seed: int
) -> Split:
    """Divides images into healthy ones to learn from, and a test of both kinds.

    Args:
      data: `train` and `test`, each `image` [n, H, W, C] and `label` [n].
      anomaly: the label of the anomalous class.
      protocol: `pooled`, as the GANomaly authors' code does it: the healthy images of both parts
        are shuffled together, 80 % are for training, and the rest is the test, with all anomalies.
        `official`: the healthy images of `train` are for training, and `test` is the test. In both
        a tenth of the training images is kept for validation.
      seed: of the shuffle.

    Raises:
      ValueError: there is no image of that class, or no other class.
    """
    image, label = (
        np.concatenate([data[part][field] for part in ("train", "test")])
        for field in ("image", "label")
    )
    healthy = np.flatnonzero(label != anomaly)
    strange = np.flatnonzero(label == anomaly)
    if not len(healthy) or not len(strange):
        raise ValueError(f"class {anomaly} is not one of several classes: {np.unique(label)}")
    rng = np.random.default_rng(seed)
    if protocol == "pooled":
        healthy = rng.permutation(healthy)
        count = round(0.8 * len(healthy))
        known, new = healthy[:count], healthy[count:]
    else:
        first = len(data["train"]["label"])
        known, new = rng.permutation(healthy[healthy < first]), healthy[healthy >= first]
        strange = strange[strange >= first]
    held_out = len(known) // 10
    test = np.concatenate([new, strange])
    return Split(
        image[known[held_out:]],
        image[known[:held_out]],
        image[test],
        np.arange(len(test)) >= len(new),
    )
