"""Protocols: everything that has to be named beside a few-shot accuracy for it to mean something.

Shapes: C classes, D drawings of a class, H W image.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Literal

import numpy as np

from jaxdl.data.episodes import Alphabets, EpisodeSpec, Rotations

Split = Literal["random", "vinyals", "lake"]
Resize = Literal["lanczos_grey", "nearest_binary"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a few-shot classifier was trained and tested; it travels with every number."""

    dataset: str
    """Name of the data set whose classes were tested."""
    split: Split = "random"
    """`random`: 1,200 characters for training, 100 of them for validation, and 423 for testing, as
    Santoro et al. (2016) and Finn et al. (2017); `vinyals`: the fixed 1,028/172/423 of Vinyals et
    al. (2016) as Snell et al. (2017) published them; `lake`: background alphabets for training,
    the five smallest of them for validation, evaluation alphabets for testing (Lake et al., 2015).
    """
    split_seed: int = 0
    """Which random split."""
    rotations: Rotations = "random"
    """Rotations of the training classes, see `jaxdl.data.episodes.EpisodeSpec`."""
    eval_rotations: Rotations = "random"
    """Rotations of the validation and test classes. Finn et al. rotate them too."""
    alphabets: Alphabets = "mixed"
    """Whether a training episode's classes are all of one alphabet."""
    eval_alphabets: Alphabets = "mixed"
    """Whether a validation or test episode's are."""
    augmentation: Literal["none", "affine"] = "none"
    """What happens to each training image, see `jaxdl.data.episodes.distort`."""
    resize: Resize = "lanczos_grey"
    """How 105 pixels became 28, see `jaxdl.data.sources.load`."""
    normalisation: str = "episode"
    """Where the statistics that normalise the queries come from in training: from the queries
    (`transductive`), the support set (`support`), both together (`episode`) or each image
    (`group`)."""
    way: int = 5
    """Classes in an episode."""
    shot: int = 1
    """Labelled drawings of each class."""
    train_way: int | None = None
    """Classes in a training episode; None for `way`."""
    train_shot: int | None = None
    """Labelled drawings of each class in a training episode; None for `shot`."""
    queries: int = 5
    """Queries of each class in a training episode."""
    eval_queries: int = 15
    """Queries of each class in a validation or test episode."""
    inner_steps: int = 0
    """Inner gradient steps in training; 0 when there is no inner loop."""
    eval_inner_steps: int = 0
    """Inner gradient steps in validation and test."""
    views: int = 0
    """Distorted copies of an image whose features are averaged with its own, there too."""
    episodes: int = 1000
    """Test episodes."""

    @property
    def train_spec(self) -> EpisodeSpec:
        """The shape of a training episode."""
        return EpisodeSpec(
            way=self.train_way or self.way,
            shot=self.train_shot or self.shot,
            queries=self.queries,
            rotations=self.rotations,
            alphabets=self.alphabets,
        )

    @property
    def eval_spec(self) -> EpisodeSpec:
        """The shape of a validation or test episode."""
        return EpisodeSpec(
            way=self.way,
            shot=self.shot,
            queries=self.eval_queries,
            rotations=self.eval_rotations,
            alphabets=self.eval_alphabets,
        )

    def __str__(self) -> str:
        """One line with every choice that a reader needs to compare the number."""
        return (
            f"{self.dataset} {self.way}-way {self.shot}-shot, split {self.split}"
            + (f" (seed {self.split_seed})" if self.split == "random" else "")
            + f", test rotations {self.eval_rotations}, "
            + ("within alphabets, " if self.eval_alphabets == "one" else "")
            + ("augmented, " if self.augmentation != "none" else "")
            + f"{self.resize}, "
            + (f"mean features of {self.views + 1} views, " if self.views else "")
            + (
                f"{self.eval_inner_steps} inner steps (trained with {self.inner_steps}), "
                if self.eval_inner_steps or self.inner_steps
                else ""
            )
            + f"{self.episodes} episodes x {self.way * self.eval_queries} queries"
        )


def split_classes(
    data: Mapping[str, Mapping[str, np.ndarray]],
    split: Split,
    seed: int = 0,
    field: str = "image",
) -> dict[str, np.ndarray]:
    """Divides the classes of a data set into training, validation and test classes.

    Args:
      data: split -> field -> array, as `sources.load("omniglot")` and `glyphs.load()` give it; the
        published splits need Omniglot's.
      split: see `Protocol.split`. A random split of other than 1,623 classes keeps 423 classes for
        testing and 100 for validation, or that share of them when there are fewer.
      seed: which random split.
      field: what to return of every class.

    Returns:
      `train`, `validation` and `test`: images [C, D, H, W], uint8, or another field, [C, ...]; no
      class is in two of them.

    Raises:
      ValueError: when the split is not defined for these data.
    """
    values = np.concatenate([part[field] for part in data.values()])
    if split == "random":
        parts = random_split(len(values), seed)
    elif "test" not in data or len(values) != 1623:
        raise ValueError(
            f"the {split} split is defined for Omniglot's 1623 characters, but this data set has "
            f"{len(values)} classes; use --split random"
        )
    elif split == "vinyals":
        parts = vinyals_split(data)
    else:
        parts = lake_split(data)
    names = ("train", "validation", "test")
    return {name: values[parts == index] for index, name in enumerate(names)}


def random_split(classes: int, seed: int) -> np.ndarray:
    """Returns 0 (train), 1 (validation) or 2 (test) for each class: int8 [classes]."""
    # Ordered by a hash, so that the split never depends on the version of a random generator.
    order = sorted(
        range(classes), key=lambda index: hashlib.sha256(f"{seed}/{index}".encode()).digest()
    )
    share = min(1.0, classes / 1623)
    test, validation = round(423 * share), round(100 * share)
    parts = np.zeros(classes, np.int8)
    parts[order[:test]] = 2
    parts[order[test : test + validation]] = 1
    return parts


def lake_split(data: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """Returns 0, 1 or 2 for each class of Omniglot: 883, 81 and 659 characters.

    They are the background, its 5 smallest alphabets (as in Triantafillou et al., 2020), and the
    evaluation characters.
    """
    alphabet = np.asarray(data["train"]["alphabet"])
    names, sizes = np.unique(alphabet, return_counts=True)
    smallest = names[np.argsort(sizes, kind="stable")[:5]]
    background = np.isin(alphabet, smallest).astype(np.int8)
    return np.concatenate([background, np.full(len(data["test"]["image"]), 2, np.int8)])


def vinyals_split(data: Mapping[str, Mapping[str, Any]]) -> np.ndarray:
    """Returns 0, 1 or 2 for each class of Omniglot: 1,028, 172 and 423 characters."""
    text = resources.files("jaxdl.data").joinpath("vinyals.txt").read_text()
    lines = [line.split()[1] for line in text.splitlines() if not line.startswith("#")]
    return np.array(
        [
            lines[alphabet][character - 1]
            for part in data.values()
            for alphabet, character in zip(part["alphabet"], part["character"], strict=True)
        ],
        np.int8,
    )
