"""The types that every method and the whole engine share, and the one rule of randomness."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class TrainState(NamedTuple):
    """Everything a training step reads and rewrites: a plain pytree, saved whole."""

    step: jax.Array  # int32 [], steps taken so far
    params: Any  # pytree of float32, what the optimizer updates
    opt_state: Any  # the optimizer's state
    extra: Any  # pytree: statistics, averages, frozen networks; () when there is none
    key: jax.Array  # typed PRNG key []; never advances, see `step_key`


class Method(NamedTuple):
    """A training method as three pure, uncompiled functions; what every `make` returns."""

    init: Callable[[jax.Array, Any], TrainState]  # (key, batch) -> state
    train_step: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
    eval_step: Callable[[TrainState, Any], dict[str, Any]]  # -> {name: ops.metrics.Moments}


def step_key(state: TrainState, purpose: int) -> jax.Array:
    """Returns the key of this step for one purpose: a pure function of (seed, step, purpose).

    Nothing is drawn from a key that moves on, so a resumed run draws what an uninterrupted one
    would have drawn.

    Args:
      state: the state before the step.
      purpose: 0 for the loss, 1 for the batch.

    Returns:
      A typed PRNG key.
    """
    return jax.random.fold_in(jax.random.fold_in(state.key, state.step), purpose)
