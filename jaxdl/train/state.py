"""The types that every method and the whole engine share, and the one rule of randomness."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

_KEY_KINDS = ("threefry2x32", "rbg", "unsafe_rbg")


class TrainState(NamedTuple):
    """Everything a training step reads and rewrites: a plain pytree, saved whole."""

    step: jax.Array  # int32 [], steps taken so far
    params: Any  # pytree of float32, what the optimizer updates
    opt_state: Any  # the optimizer's state
    extra: Any  # pytree: statistics, averages, frozen networks; () when there is none
    key: jax.Array  # typed PRNG key []; never advances, see `step_key`

    @classmethod
    def start(
        cls, params: Any, optimizer: optax.GradientTransformation, extra: Any, key: jax.Array
    ) -> "TrainState":
        """Makes the state of a training that has not taken a step.

        Args:
          params: pytree of floating-point arrays.
          optimizer: whose state is begun; of several players, see `jaxdl.train.players.together`.
          extra: see the field.
          key: a typed PRNG key, from which all random numbers of the training follow.
        """
        whole = cls(jnp.zeros((), jnp.int32), params, optimizer.init(params), extra, key)
        return jax.tree.map(_own, whole)


class Method(NamedTuple):
    """A way to learn as pure, uncompiled functions; what every `make` returns."""

    init: Callable[[jax.Array, Any], TrainState]
    """`(key, batch) -> state`; of the batch only shapes count."""
    train_step: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
    """`(state, batch) -> (state, {name: scalar})`."""
    predict: Callable[[TrainState, Any], dict[str, jax.Array]]
    """`(state, inputs) -> {name: [B, ...]}`: what a trained state is for, in evaluation mode. The
    inputs are a batch without what is to be found; no example depends on another."""
    eval_step: Callable[[TrainState, Any], dict[str, Any]]
    """`(state, batch) -> {name: jaxdl.ops.metrics.Moments}` over examples, each counted by the
    batch's `weight` [B]: 0 for padding."""
    protocol: Mapping[str, Any] = MappingProxyType({})
    """What must be named beside a figure of this method, as a JSON object."""

    def __hash__(self) -> int:
        """That of its functions, so that it may be a static argument of a compiled function."""
        return hash(self[:4])


def _own(leaf: Any) -> jax.Array:
    """Returns a copy, of a strong type.

    A compiled step takes the state's arrays away from whoever holds them, each once; and it makes
    weak types strong, so that it would be compiled a second time for its own result.
    """
    if hasattr(leaf, "dtype") and is_key(leaf):
        return jax.random.clone(leaf)
    array = jnp.asarray(leaf)
    return jnp.array(array, array.dtype)


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


def is_key(leaf: Any) -> bool:
    """Says whether an array, or its shape, is of typed PRNG keys."""
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def raw(leaf: Any) -> Any:
    """Returns the numbers of a key, which can be stored and sent; other arrays as they are."""
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def unraw(value: Any, like: Any) -> jax.Array:
    """Returns the array whose `raw` this is.

    Args:
      value: array.
      like: an array, or its shape, of the type that is meant.
    """
    array = jnp.asarray(value)
    if is_key(like):
        kind = next(k for k in _KEY_KINDS if jax.random.key(0, impl=k).dtype == like.dtype)
        array = jax.random.wrap_key_data(array, impl=kind)
    return array


def variables(params: Any, extra: Any) -> dict[str, Any]:
    """Returns the Flax variables of a network: its parameters and `extra["batch_stats"]`."""
    return {"params": params, "batch_stats": extra["batch_stats"]}


def averaged(average: Any, now: Any, step: jax.Array, decay: float) -> Any:
    """Moves an exponential moving average of a network's variables towards what they are now.

    Average the statistics of batch normalisation with the parameters, which they would not fit
    otherwise.

    Args:
      average: pytree of floating-point arrays.
      now: as `average`.
      step: int [], taken before this one, t.
      decay: share of the average that is kept, or (1 + t) / (10 + t) if that is less, so that the
        initial parameters do not stay in the average for long.
    """
    keep = jnp.minimum(decay, (1 + step) / (10 + step))
    return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, now)
