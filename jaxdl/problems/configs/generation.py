"""Options of generation, and of the classifier that judges it; imports no JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.problems.configs.images import Images
from jaxdl.train.options import Pace, Run

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.problems.generation import Generator
    from jaxdl.train.problem import Problem


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
