"""The options of each kind of problem; imports no JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxdl.train import options

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


@dataclass(frozen=True, kw_only=True)
class Anomalies(Images):
    """Which class of the images is the anomaly, and how a detector learns the others."""

    anomalies: Annotated[tuple[int, ...], tyro.conf.arg(aliases=("--digits",))] = tuple(range(10))
    """Classes that are the anomaly, in turn."""
    protocol: Literal["pooled", "official"] = "pooled"
    """`pooled`: 80 % of the healthy images of both parts of the data set for training, the rest and
    all anomalies for the test, as published; `official`: the data set's own parts."""
    size: int = 32
    """Side of the images, in pixels, to which they are enlarged: 16, 32, ..."""
    epochs: int = 30
    """How often a training image is drawn, on average."""
    batch: int = 64
    """Images in a training step."""
    resamples: int = 200
    """Resamples of the bootstrap from which the intervals come."""


@dataclass(frozen=True, kw_only=True)
class Judging(Images):
    """Which images the classifier that judges generated ones learns, and for how long."""

    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    steps: int = 2000
    """Training steps."""
    batch: int = 128
    """Images in a step."""


@dataclass(frozen=True, kw_only=True)
class Judge(options.Run):
    """Options of the training of the classifier that judges; what its folder holds."""

    problem: Judging = Judging()


@dataclass(frozen=True, kw_only=True)
class Generation(Images):
    """Which images are generated, for how long it is learned, and how they are judged."""

    judge: Path | None = None
    """Folder of the classifier that judges, see experiments.mnist_features; by default one in
    runs/, which is trained first when it is not there."""
    size: int = 28
    """Side of the images, in pixels: 28, 32 or 64 with convolutions."""
    conditional: bool = False
    """Generate and judge by class."""
    batch: int = 64
    """Images in an update."""
    steps: int = 5000
    """Training steps."""
    eval_every: int = 1000
    """Steps between validations, each followed by a checkpoint and a row of pictures."""
    samples: int = 10_000
    """Generated images that are judged; as many real ones, but at most half of those there are."""
