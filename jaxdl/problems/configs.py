"""The options of each kind of problem; imports no JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Rotations = Literal["none", "random", "classes"]


@dataclass(frozen=True, kw_only=True)
class Characters:
    """Which characters a few-shot classifier is tested on, and how."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """Characters to learn from: Omniglot, or the embedded glyphs, which need no files; `auto` is
    Omniglot if it is prepared or can be downloaded, else glyphs."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    way: int = 5
    """Classes in an episode."""
    shot: int = 1
    """Labelled drawings of each class."""
    eval_queries: int = 15
    """Drawings of each class to be classified in a validation or test episode."""
    episodes: int = 1000
    """Test episodes."""
    split: Literal["random", "vinyals", "lake"] = "random"
    """Training, validation and test classes: a random 1,100/100/423 of Omniglot's characters,
    Vinyals' 1,028/172/423, or Lake's background and evaluation alphabets."""
    split_seed: int = 0
    """Which random split."""
    eval_rotations: Rotations = "random"
    """Rotations of the validation and test classes: each class of an episode turned by a random
    multiple of 90 degrees, or the rotations as classes of their own."""
    eval_alphabets: Literal["mixed", "one"] = "mixed"
    """Whether the classes of a validation or test episode are all of one alphabet."""
    resize: Literal["lanczos_grey", "nearest_binary"] = "lanczos_grey"
    """How 105 pixels become 28; `nearest_binary` is what published code gets from Pillow."""


@dataclass(frozen=True, kw_only=True)
class Episodes(Characters):
    """On which characters a few-shot classifier is trained, too."""

    train_way: int | None = None
    """Classes in a training episode; by default as many as in a test."""
    train_shot: int | None = None
    """Labelled drawings of each class in a training episode; by default as many as in a test."""
    queries: int = 5
    """Drawings of each class to be classified in a training episode."""
    rotations: Rotations = "random"
    """Rotations of the training classes, as --eval-rotations says."""
    alphabets: Literal["mixed", "one"] = "mixed"
    """Whether the classes of a training episode are all of one alphabet."""
    augmentation: Literal["none", "affine"] = "none"
    """Turn, shear, stretch and move each training image a little."""
    eval_episodes: int = 100
    """Validation episodes."""


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which labelled images are learned from."""

    dataset: Literal["auto", "digits", "mnist", "fashion_mnist"] = "digits"
    """Images: scikit-learn's digits, which need no files; MNIST or Fashion-MNIST; or `auto`, the
    data set of the experiment's name if it is prepared or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
