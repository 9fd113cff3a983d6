"""Labelled images, read and divided.

Shapes: n images, B batch, H W image, C channels, T answers about an image, A classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import folds, images
from jaxdl.problems.configs import classification as configs
from jaxdl.train import options

Part = Mapping[str, Any]
Draw = Callable[[jax.Array, Part, Any], Part]


class Data(NamedTuple):
    """Labelled images, divided."""

    dataset: str
    """Where they are from."""
    parts: Mapping[str, Part]
    """`train`, `valid` and `test`: `image` uint8 [n, H, W, C] or features, `label` int [n] or
    [n, T], and whatever else a method's batch has."""
    names: tuple[str, ...]
    """What a person calls the classes, [A]."""
    shown: np.ndarray
    """The test images, uint8 [n, H, W, C], for pictures."""

    def with_parts(self, **parts: Part) -> "Data":
        """Returns the data with other parts of these names."""
        return self._replace(parts={**self.parts, **parts})


def read(
    config: configs.Labelled, *, auto: images.DataSet = "mnist"
) -> tuple[images.DataSet, Mapping[str, Part]]:
    """Reads labelled images: the name of the data set, and its `train` and `test`.

    Args:
      config: the options.
      auto: the data set that `--dataset auto` means.

    Raises:
      ValueError: they cannot be had.
    """
    options.require_positive(config, "size")
    return images.load(config.dataset, data_dir=config.data_dir, auto=auto, size=config.size)


def divide(
    config: configs.Labelled,
    dataset: str,
    parts: Mapping[str, Part],
    *,
    only: Sequence[int] | None = None,
) -> Data:
    """Keeps a part of the training images for validation.

    Args:
      config: the options.
      dataset: its name.
      parts: `train` and `test`.
      only: the classes that there are, renumbered from 0; None for all.

    Raises:
      ValueError: nothing is left to learn or to validate.
    """
    if only is not None:
        parts = {name: _renumbered(part, only) for name, part in parts.items()}
    train, test = parts["train"], parts["test"]
    learned, held_out = folds.holdout(len(train["label"]), config.holdout, seed=0)
    classes = only if only is not None else range(int(test["label"].max()) + 1)
    return Data(
        dataset,
        {"train": some(train, learned), "valid": some(train, held_out), "test": test},
        tuple(images.name_of(dataset, each) for each in classes),
        test["image"],
    )


def load(config: configs.Labelled, *, auto: images.DataSet = "mnist") -> Data:
    """Reads and divides labelled images; see `read` and `divide`."""
    return divide(config, *read(config, auto=auto))


def made(data: Data, draw: Draw) -> Data:
    """Returns the data with what is drawn once from each image in validation and test.

    Args:
      data: the images.
      draw: `(key, part, index [B]) -> batch`, as in `problem`.
    """
    parts = {}
    for number, name in enumerate(("valid", "test")):
        part = dict(data.parts[name])
        drawn = jax.jit(draw)(jax.random.key(number), part, np.arange(len(part["label"])))
        parts[name] = {field: np.asarray(leaf) for field, leaf in drawn.items()}
    return data.with_parts(**parts)._replace(shown=parts["test"]["image"])


def some(part: Part, index: Any) -> dict[str, Any]:
    """Returns the examples of a part with these numbers."""
    return {name: leaf[index] for name, leaf in part.items()}


def _renumbered(part: Part, only: Sequence[int]) -> Part:
    kept = np.isin(part["label"], only)
    number = {old: new for new, old in enumerate(only)}
    label = np.array([number[old] for old in part["label"][kept].tolist()], np.int32)
    return {"image": part["image"][kept], "label": label}
