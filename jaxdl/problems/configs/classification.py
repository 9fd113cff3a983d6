"""Options of classification, alone, overlapping, taught and transferred; imports no JAX."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.problems.configs.images import Images
from jaxdl.train import options
from jaxdl.train.options import Pace, Run

if TYPE_CHECKING:  # JAX would slow --help down
    import optax

    from jaxdl.problems.classification import Recognizer
    from jaxdl.train.problem import Problem


Optimizer = Literal[
    "sgd",
    "momentum",
    "nag",
    "adagrad",
    "adadelta",
    "rmsprop",
    "adam",
    "nadam",
    "amsgrad",
    "radam",
    "rprop",
    "lookahead",
    "adabound",
    "swats",
]


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
