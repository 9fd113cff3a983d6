"""Options of anomaly detection; imports no JAX."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from jaxdl.problems.configs.images import Images
from jaxdl.train.options import Pace, Run

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.problems.anomalies import Detector
    from jaxdl.train.problem import Problem


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
