"""Labelled images, read and divided.

Shapes: n images, B batch, H W image, C channels, T answers about an image, A classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import folds, images
from jaxdl.problems import configs
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
    config: configs.Labelled,
    *,
    auto: str = "mnist",
    only: Sequence[int] | None = None,
) -> Data:
    """Reads and divides labelled images.

    Args:
      config: the options.
      auto: the data set that `--dataset auto` means.
      only: the classes that there are, renumbered from 0; None for all.

    Raises:
      ValueError: they cannot be had, or nothing is left to learn or to validate.
    """
    options.require_positive(config, "size")
    dataset, found = images.load(config.dataset, data_dir=config.data_dir, auto=auto)
    parts = {}
    for part, fields in found.items():
        shown, label = images.resize(fields["image"], config.size), fields["label"]
        if only is not None:
            kept = np.isin(label, only)
            number = {old: new for new, old in enumerate(only)}
            shown = shown[kept]
            label = np.array([number[old] for old in label[kept].tolist()], np.int32)
        parts[part] = {"image": shown, "label": label}
    learned, held_out = folds.holdout(len(parts["train"]["label"]), config.holdout, seed=0)
    parts["valid"] = some(parts["train"], held_out)
    parts["train"] = some(parts["train"], learned)
    classes = only if only is not None else range(int(parts["test"]["label"].max()) + 1)
    names = tuple(images.name_of(dataset, each) for each in classes)
    return Data(dataset, parts, names, parts["test"]["image"])


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


def unit(images: Any) -> Any:
    """Returns bytes as numbers in [0, 1], and other images, or features, as they are."""
    return images / 255.0 if images.dtype == "uint8" else images


def some(part: Part, index: Any) -> dict[str, Any]:
    """Returns the examples of a part with these numbers."""
    return {name: leaf[index] for name, leaf in part.items()}
