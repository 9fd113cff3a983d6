"""What every problem is: the data, how a batch is drawn, and how what was learned is judged.

A problem knows no method. It is given one, and asks it to predict.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax

from jaxdl.train.state import Method, TrainState


class Measured(NamedTuple):
    """What a test found."""

    metrics: Mapping[str, Any]
    """By name, see `jaxdl.train.result`."""
    says: str
    """The sentence of the last line, without the experiment's name and its folder."""
    figures: Mapping[str, Callable[[], Any]] = MappingProxyType({})
    """By file name: how to draw it, a Matplotlib figure or grey pixels, uint8 [H, W]."""


class Problem(NamedTuple):
    """Something to learn; what every `load` of `jaxdl.problems` returns."""

    dataset: str
    """Its name."""
    config: Any
    """Its options, completed: an automatic choice as it fell."""
    facts: Mapping[str, Any]
    """What the data decide of a method's config, such as the number of classes; JSON values."""
    data: Any
    """Pytree of arrays on the device, from which is drawn."""
    sample: Callable[[jax.Array, Any], Any]
    """`(key, data) -> batch`, inside the compiled step."""
    size: int
    """Examples of a batch, which devices share evenly."""
    unit: str
    """What an example is called in the log: `images`, `tasks`."""
    validate: Callable[[Method], Callable[[TrainState], Mapping[str, float]]]
    """Makes the measurement that goes on during the training: `state -> {name: number}`."""
    test: Callable[[Method], Callable[[TrainState], Measured]]
    """Makes the measurement at the end."""
    protocol: Mapping[str, Any]
    """How it is measured, as a JSON object."""
