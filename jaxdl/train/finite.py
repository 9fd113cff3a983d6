"""Stops a training whose numbers are no longer numbers, and says at which step."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.train.state import TrainState


class NonFinite(ValueError):
    """A metric or a parameter became infinite or not a number."""


def check_values(values: Mapping[str, np.ndarray], first: int) -> None:
    """Raises NonFinite for the earliest bad value; entry i of each array is of step `first` + i."""
    bad = [
        (int(np.argmin(np.isfinite(value))), name)
        for name, value in values.items()
        if not np.isfinite(value).all()
    ]
    if bad:
        entry, name = min(bad)
        raise NonFinite(f"{name} is {values[name][entry]} at step {first + entry}")


def check_parameters(state: TrainState, step: int) -> None:
    """Raises NonFinite when a parameter is not finite after `step` steps."""
    # A loss is taken before the update, so the last update of a call has no metric yet.
    for leaf in jax.tree.leaves(state.params):
        if jnp.issubdtype(leaf.dtype, jnp.inexact) and not np.isfinite(np.asarray(leaf)).all():
            raise NonFinite(f"the parameters are not finite after step {step}")
