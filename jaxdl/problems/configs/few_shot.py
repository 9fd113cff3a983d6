"""Options of few-shot learning; imports no JAX."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.train.options import Pace, Run, Schedule

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.problems.episodes import Classifier
    from jaxdl.train.problem import Problem


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
class Outer:
    """How a few-shot method is trained; the defaults are for those with an inner loop."""

    meta_batch: int = 16
    """Tasks in a training step."""
    learning_rate: float = 3e-3
    """Learning rate of Adam, that of the outer loop where there is an inner one."""
    schedule: Schedule = "cosine"
    """Of that learning rate: how it falls to zero over all the steps, or does not."""
    steps: int = 4800
    """Training steps."""
    eval_every: int = 600
    """Steps between validations, each followed by a checkpoint."""
    log_every: int = 20
    """Steps between lines of metrics.jsonl, and at most per call of the compiled program."""

    @property
    def pace(self) -> Pace:
        """How long the training goes on."""
        return Pace(self.steps, self.eval_every, self.log_every)

    def rate(self) -> Callable[[Any], Any]:
        """Returns the learning rate as a function of the step."""
        from jaxdl.train import optimizers

        return optimizers.schedule(self.schedule, self.learning_rate, self.steps)


@dataclass(frozen=True, kw_only=True)
class Comparing(Outer):
    """How a few-shot method without an inner loop is trained."""

    meta_batch: int = 4
    """Tasks in a training step."""
    learning_rate: float = 1e-3
    """Learning rate of Adam."""
    steps: int = 3000
    """Training steps."""
    eval_every: int = 500
    """Steps between validations, each followed by a checkpoint."""


@dataclass(frozen=True, kw_only=True)
class FewShot(Run):
    """Options of every few-shot experiment that trains."""

    eval_only: bool = False
    """Test the checkpoint in the workdir, also on another data set than it was trained on."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Which checkpoint --eval-only tests; best is by validation accuracy."""
    problem: Episodes = Episodes()
    training: Outer = Outer()


def stored(config: FewShot) -> dict[str, Any] | None:
    """Returns the options of the run that --eval-only is about; see `command.parse`.

    Raises:
      ValueError: there is no such run.
    """
    if not config.eval_only:
        return None
    from jaxdl.train.report import Report

    found = Report(config.workdir).config() if config.workdir else None
    if found is None:
        raise ValueError(
            f"--eval-only needs a --workdir with a finished or stopped run, got {config.workdir}"
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Waves:
    """Which sine waves are regressed, from how many points."""

    shot: int = 10
    """Points of a wave to learn from, and as many to be predicted in training."""
    tasks: int = 600
    """Validation waves, and as many test waves; they are always the same."""


OF_THE_USE = ("eval_only", "checkpoint")
"""Options of a few-shot experiment that say how its run is used, not what it is."""


def load_episodes(config: FewShot, part: str = "") -> "Problem":
    """Makes the problem of a few-shot experiment from its options, for `run.restore`."""
    from jaxdl.problems import episodes

    del part
    return episodes.load(config.problem, tasks=config.training.meta_batch)


def open_classifier(make: Any, state: Any, **about: Any) -> "Classifier":
    """Makes what a few-shot run is opened as, for `run.restore`."""
    from jaxdl.problems.episodes import Classifier

    return Classifier(make, state, **about)
