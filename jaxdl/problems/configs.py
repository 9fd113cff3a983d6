"""The options of each kind of problem; imports no JAX."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.train import options
from jaxdl.train.options import Pace, Run, Schedule

if TYPE_CHECKING:  # JAX would slow --help down
    import optax

    from jaxdl.problems.classification import Recognizer
    from jaxdl.problems.episodes import Classifier
    from jaxdl.train.problem import Problem

Rotations = Literal["none", "random", "classes"]
Optimizer = Literal[
    *("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "nadam", "amsgrad"),
    *("radam", "rprop", "lookahead", "adabound", "swats"),
]


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


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which labelled images are learned from."""

    dataset: Literal["auto", "digits", "mnist", "fashion_mnist"] = "digits"
    """Images: scikit-learn's digits, which need no files; MNIST or Fashion-MNIST; or `auto`, the
    data set of the experiment's name if it is prepared or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""


@dataclass(frozen=True, kw_only=True)
class Labelled(Images):
    """Which labelled images are told apart."""

    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation."""


@dataclass(frozen=True, kw_only=True)
class Overlapping(Images):
    """Which images lie over one another in pairs, and where."""

    size: int = 36
    """Side of the canvas, in pixels, on which images of 28 lie."""
    shift: int = 4
    """Largest move of an image from its corner of the canvas, in pixels."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation."""


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """How many training images are drawn."""

    epochs: int = 10
    """How often a training image is drawn, on average."""
    batch: int = 128
    """Images in a training step."""

    def pace(self, examples: int) -> Pace:
        """Returns how long the training on that many images goes on; it is validated each epoch."""
        call = 10
        every = options.epoch(examples, self.batch, call)
        return Pace(self.epochs * every, every, max(every // 10 // call, 1) * call, call)


@dataclass(frozen=True, kw_only=True)
class Falling(Drawing):
    """How a network is trained by Adam at a falling rate."""

    learning_rate: float = 1e-3
    """Learning rate of Adam at first; it falls to 0."""

    def build(self, examples: int) -> "optax.GradientTransformation":
        """Makes the optimizer of a training on that many images."""
        import optax

        steps = self.pace(examples).steps
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, steps))


@dataclass(frozen=True, kw_only=True)
class Training(Drawing):
    """How a classifier is trained."""

    optimizer: Optimizer = "adam"
    """Optimizer, see jaxdl.train.optimizers; rprop, adabound and swats change their rates by
    themselves."""
    momentum: float = 0.9
    """Share of the velocity that the optimizers `momentum` and `nag` keep."""
    learning_rate: float = 1e-3
    """The largest learning rate."""
    schedule: Literal["constant", "linear", "cosine", "triangular"] = "cosine"
    """Of the learning rate: it stays, falls to 0, or goes up and down four times."""
    warmup: float = 0.0
    """Share of the training in which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Share of every kernel that is taken away in a step, times the learning rate."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 for any."""
    patience: int | None = None
    """Stop after that many epochs without a lower validation loss."""

    def build(self, examples: int) -> "optax.GradientTransformation":
        """Makes the optimizer of a training on that many images."""
        from jaxdl.train import optimizers

        steps, rate = self.pace(examples).steps, self.learning_rate
        if self.optimizer not in optimizers.OWN_RATES:
            rate = optimizers.schedule(self.schedule, rate, steps, round(self.warmup * steps))
        return optimizers.build(
            self.optimizer,
            rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            clip=self.clip,
        )


@dataclass(frozen=True, kw_only=True)
class Classification(Run):
    """Options of every experiment with one classifier of images."""

    problem: Labelled = Labelled()
    training: Training = Training()


@dataclass(frozen=True, kw_only=True)
class Teaching(Run):
    """Options of every experiment with a teacher and its student."""

    problem: Labelled = Labelled(holdout=1 / 20)
    training: Falling = Falling(epochs=60)
    teacher_hidden: tuple[int, ...] = (256, 256)
    """Units of the teacher's hidden layers."""
    student_hidden: tuple[int, ...] = (32,)
    """Units of the student's hidden layers."""
    teacher_epochs: int = 60
    """How often the teacher draws a training image, on average; --epochs is the student's."""
    omit: tuple[int, ...] = ()
    """Classes that the student never sees; afterwards their biases are raised until their mean
    probability on the validation images is what the training labels say."""
    shift: float = 2.0
    """Largest move of the teacher's training images, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Transfer(Run):
    """Options of an experiment that goes on from what was learned of other classes."""

    problem: Labelled = Labelled()
    training: Falling = Falling(epochs=5, learning_rate=2e-3)
    first_epochs: int = 10
    """How often the first network draws a training image, on average; --epochs is the others'."""
    examples: int | None = None
    """Training images of the second classes that are used; None for all. The fewer, the more is
    gained."""
    slower: float = 0.1
    """Learning rate of the convolutions, as a share of the others', when all is trained."""


def load_images(config: Classification, part: str = "") -> "Problem":
    """Makes the problem of an experiment with one classifier from its options."""
    from jaxdl.problems import classification

    del part
    return classification.load(config)


def load_teaching(config: Teaching, part: str = "") -> "Problem":
    """Makes the problem of a part of an experiment with a teacher from its options."""
    from jaxdl.problems import teaching

    return teaching.load(config, part)


def load_transfer(config: Transfer, part: str = "") -> "Problem":
    """Makes the problem of a part of an experiment that goes on from other classes."""
    from jaxdl.problems import transfer

    return transfer.load(config, part)


def load_overlapping(config: Any, part: str = "") -> "Problem":
    """Makes the problem of an experiment on images that lie over one another in pairs."""
    from jaxdl.problems import overlapping

    if not part:
        raise ValueError("there are several networks, each in a folder of its own")
    return overlapping.load(config)


def open_recognizer(make: Any, state: Any, **about: Any) -> "Recognizer":
    """Makes what a run on labelled images is opened as, for `run.restore`."""
    from jaxdl.problems.classification import Recognizer

    return Recognizer(make, state, **about)
