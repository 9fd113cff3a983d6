"""The options of each kind of problem; imports no JAX."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from jaxdl.train import options
from jaxdl.train.options import Pace, Run, Schedule

if TYPE_CHECKING:  # JAX would slow --help down
    import optax

    from jaxdl.problems.anomalies import Detector
    from jaxdl.problems.classification import Recognizer
    from jaxdl.problems.episodes import Classifier
    from jaxdl.problems.generation import Generator
    from jaxdl.train.problem import Problem

Rotations = Literal["none", "random", "classes"]
# fmt: off
Optimizer = Literal[
    "sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "nadam", "amsgrad",
    "radam", "rprop", "lookahead", "adabound", "swats",
]
# fmt: on


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
    """Which class of the images is the anomaly, and how it is judged that it is found."""

    anomalies: Annotated[tuple[int, ...], tyro.conf.arg(aliases=("--digits",))] = tuple(range(10))
    """Classes that are the anomaly, in turn."""
    protocol: Literal["pooled", "official"] = "pooled"
    """`pooled`: 80 % of the healthy images of both parts of the data set for training, the rest and
    all anomalies for the test, as published; `official`: the data set's own parts."""
    size: int = 32
    """Side of the images, in pixels, to which they are enlarged: 16, 32, ..."""
    resamples: int = 200
    """Resamples of the bootstrap from which the intervals come."""


@dataclass(frozen=True, kw_only=True)
class Healthy:
    """How a detector learns healthy images."""

    epochs: int = 30
    """How often a training image is drawn, on average."""
    batch: int = 64
    """Images in a training step."""
    learning_rate: float = 2e-4
    """Learning rate of Adam, for all networks."""

    def pace(self, images: int) -> Pace:
        """Returns how long the training on that many images goes on."""
        call = 10
        steps = self.epochs * images // self.batch // call * call
        every = max(steps // 5 // call, 1) * call
        return Pace(steps, every, every, call)

    def adam(self) -> Any:
        """Returns the optimizer of a network."""
        import optax

        return optax.adam(self.learning_rate, b1=0.5)


@dataclass(frozen=True, kw_only=True)
class Detecting(Run):
    """Options of every anomaly-detection experiment."""

    problem: Anomalies = Anomalies()
    training: Healthy = Healthy()


def load_anomalies(config: Detecting, part: str) -> "Problem":
    """Makes the problem of a part, `anomaly-0/ganomaly`, for `run.restore`."""
    from jaxdl.problems import anomalies

    anomaly = int(part.partition("/")[0].removeprefix("anomaly-"))
    found = anomalies.read(config.problem)
    split = found.split(anomaly, config.seed)
    return anomalies.load(found.config, split, batch=config.training.batch)


def open_detector(make: Any, state: Any, **about: Any) -> "Detector":
    """Makes what a part of an anomaly-detection run is opened as, for `run.restore`."""
    from jaxdl.problems.anomalies import Detector

    return Detector(make, state, **about)


@dataclass(frozen=True, kw_only=True)
class Judging(Images):
    """Which images the classifier that judges generated ones learns, and for how long."""

    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    steps: int = 2000
    """Training steps."""
    batch: int = 128
    """Images in a step."""

    @property
    def pace(self) -> Pace:
        """How long the training goes on."""
        call = 20
        every = max(self.steps // 4 // call, 1) * call
        return Pace(max(self.steps // call, 1) * call, every, every, call)

    def adam(self) -> Any:
        """Returns the optimizer."""
        import optax

        return optax.adam(optax.cosine_decay_schedule(1e-3, self.steps))


@dataclass(frozen=True, kw_only=True)
class Judge(Run):
    """Options of experiments.mnist_features, which trains the classifier that judges."""

    problem: Judging = Judging()


@dataclass(frozen=True, kw_only=True)
class Generation(Images):
    """Which images are generated, and how they are judged."""

    judge: Path | None = None
    """Folder of the classifier that judges, see experiments.mnist_features; by default one in
    runs/, which is trained first when it is not there."""
    size: int = 28
    """Side of the images, in pixels: 28, 32 or 64 with convolutions."""
    conditional: bool = False
    """Generate and judge by class."""
    samples: int = 10_000
    """Generated images that are judged; as many real ones, but at most half of those there are."""


@dataclass(frozen=True, kw_only=True)
class Adversarial:
    """How a generator and a discriminator are trained."""

    batch: int = 64
    """Images in an update."""
    generator_rate: float = 5e-4
    """Learning rate of the generator (Adam, b1 0.5)."""
    discriminator_rate: float = 1e-3
    """Learning rate of the discriminator (Adam, b1 0.5)."""
    schedule: Literal["linear", "constant"] = "linear"
    """Whether both learning rates fall to 0 at the last step, or stay."""
    steps: int = 5000
    """Training steps."""
    eval_every: int = 1000
    """Steps between validations, each followed by a checkpoint and a row of pictures."""

    @property
    def pace(self) -> Pace:
        """How long the training goes on.

        Raises:
          ValueError: the steps are no multiples of those of a compiled call.
        """
        call = 10
        if self.eval_every % call or self.steps % call:
            raise ValueError(f"--steps and --eval-every must be multiples of {call}")
        return Pace(self.steps, self.eval_every, 50, call)

    def adams(self, critic_updates: int) -> tuple[Any, Any]:
        """Returns the optimizers of the generator and of the discriminator.

        Args:
          critic_updates: of the discriminator in a step.
        """
        import optax

        from jaxdl.train.optimizers import schedule

        one = schedule(self.schedule, self.generator_rate, self.steps)
        other = schedule(self.schedule, self.discriminator_rate, self.steps * critic_updates)
        return optax.adam(one, b1=0.5), optax.adam(other, b1=0.5)


@dataclass(frozen=True, kw_only=True)
class Generating(Run):
    """Options of every experiment that generates images."""

    problem: Generation = Generation()
    training: Adversarial = Adversarial()


def load_generation(config: Any, part: str = "") -> "Problem":
    """Makes the problem of a GAN from its options, unjudged, for `run.restore`."""
    from jaxdl.problems import generation, judging

    del part
    return generation.load(
        judging.read(config.problem),
        None,
        latent=config.method.latent,
        batch=config.training.batch,
        updates=config.method.critic_updates,
    )


def open_generator(make: Any, state: Any, **about: Any) -> "Generator":
    """Makes what the run of a GAN is opened as, for `run.restore`."""
    from jaxdl.problems.generation import Generator

    return Generator(make, state, **about)


def load_judging(config: Judge, part: str = "") -> "Problem":
    """Makes the problem of the classifier that judges from its options, for `run.restore`."""
    from jaxdl.problems import judging

    del part
    return judging.load(judging.read(config.problem))


def open_judging(make: Any, state: Any, **about: Any) -> Any:
    """Makes what the run of the classifier that judges is opened as, for `run.restore`."""
    from jaxdl.problems.judging import Classifier

    return Classifier(make, state, **about)


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
