"""Optimizers and schedules that Optax lacks, and all of them by name.

Shapes: any; t counts updates from 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax


def triangular(low: float, high: float, half_cycle: int) -> optax.Schedule:
    """Makes a rate that rises and falls in straight lines for ever (Smith, 2017, section 3.1).

    Args:
      low: the rate at the beginning and the end of a cycle.
      high: the rate in its middle.
      half_cycle: updates from the one to the other.

    >>> [float(triangular(1.0, 3.0, 2)(step)) for step in range(6)]
    [1.0, 2.0, 3.0, 2.0, 1.0, 2.0]
    """

    def schedule(count: jax.Array) -> jax.Array:
        place = jnp.asarray(count, jnp.float32) / half_cycle
        return low + (high - low) * (1 - jnp.abs(place % 2 - 1))

    return schedule


class AdaBoundState(NamedTuple):
    """Of `adabound`."""

    count: jax.Array  # type: ignore[assignment]  # int32 [], updates so far
    first: Any  # moving average of the gradients
    second: Any  # moving average of their squares


def adabound(
    learning_rate: float,
    final_rate: float = 0.1,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    gamma: float = 1e-3,
    eps: float = 1e-8,
) -> optax.GradientTransformation:
    """Adam whose rates are kept within bounds that close in on one rate (Luo et al., 2019).

    As in the authors' code the rate of each parameter, with Adam's bias correction, is clipped to
    [final (1 - 1 / (gamma t + 1)), final (1 + 1 / (gamma t))]; the division by the root of t of the
    paper's algorithm 2 is left out there too.

    Args:
      learning_rate: of Adam.
      final_rate: of the SGD with averaged gradients that it becomes.
      b1: share of the average of the gradients that is kept.
      b2: share of the average of their squares that is kept.
      gamma: how fast the bounds close; a thousand updates by default.
      eps: added to the root of the second average.
    """

    def init(params):
        zeros = optax.tree.zeros_like(params)
        return AdaBoundState(jnp.zeros((), jnp.int32), zeros, zeros)

    def update(gradient, state, params=None):
        del params
        count = state.count + 1
        t = count.astype(jnp.float32)
        first = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.first, gradient)
        second = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.second, gradient)
        rate = learning_rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        low, high = final_rate * (1 - 1 / (gamma * t + 1)), final_rate * (1 + 1 / (gamma * t))
        change = jax.tree.map(
            lambda m, v: -jnp.clip(rate / (jnp.sqrt(v) + eps), low, high) * m, first, second
        )
        return change, AdaBoundState(count, first, second)

    return optax.GradientTransformation(init, update)


class SWATSState(NamedTuple):
    """Of `swats`."""

    adam: optax.ScaleByAdamState
    velocity: Any  # of SGD, from the switch on
    average: jax.Array  # [], moving average of the rate that SGD would have needed
    rate: jax.Array  # [], of SGD; 0 before the switch


def swats(
    learning_rate: float,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-9,
    tolerance: float = 1e-9,
) -> optax.GradientTransformation:
    """Adam that becomes SGD with momentum, once (Keskar and Socher, 2017, algorithm 1).

    In each update it computes the rate with which SGD, projected on Adam's change, would have made
    that change. When this rate equals its own moving average, SGD goes on with it for good.

    Args:
      learning_rate: of Adam.
      b1: share of the average of the gradients, and then of the velocity, that is kept.
      b2: share of the averages of the squares and of the rate that is kept.
      eps: added to Adam's root.
      tolerance: how near the rate and its average must be, 1e-9 for the authors. Without noise the
        two begin alike, so a larger one may make it SGD at once.
    """
    adam = optax.scale_by_adam(b1, b2, eps)

    def init(params):
        zero = jnp.zeros(())
        return SWATSState(adam.init(params), optax.tree.zeros_like(params), zero, zero)

    def update(gradient, state, params=None):
        direction, adam_state = adam.update(gradient, state.adam, params)
        change = optax.tree.scale(-learning_rate, direction)
        along = -optax.tree.vdot(change, gradient)
        usable = along != 0
        wanted = optax.tree.vdot(change, change) / jnp.where(usable, along, 1)
        average = jnp.where(usable, b2 * state.average + (1 - b2) * wanted, state.average)
        count = adam_state.count
        corrected = average / (1 - b2 ** count.astype(jnp.float32))
        switched = state.rate > 0
        near = usable & (count > 1) & (jnp.abs(corrected - wanted) < tolerance) & (corrected > 0)
        rate = jnp.where(switched, state.rate, jnp.where(near, corrected, 0))
        velocity = jax.tree.map(
            lambda v, g: jnp.where(switched, b1 * v + g, v), state.velocity, gradient
        )
        change = jax.tree.map(
            lambda a, v: jnp.where(switched, -(1 - b1) * state.rate * v, a), change, velocity
        )
        return change, SWATSState(adam_state, velocity, average, rate)

    return optax.GradientTransformation(init, update)


def lookahead(
    fast: optax.GradientTransformation, *, period: int = 5, share: float = 0.5
) -> optax.GradientTransformation:
    """Optax's Lookahead (Zhang et al., 2019) for parameters that are not given in pairs.

    Args:
      fast: the optimizer that goes ahead.
      period: its updates until the slow parameters follow.
      share: of the way that they go; the fast ones go on from there.
    """
    pairs = optax.lookahead(fast, period, share)

    def init(params):
        return pairs.init(optax.LookaheadParams(params, params)), params

    def update(gradient, state, params):
        inner, slow = state
        change, inner = pairs.update(gradient, inner, optax.LookaheadParams(params, slow))
        return change.fast, (inner, optax.apply_updates(slow, change.slow))

    return optax.GradientTransformation(init, update)


OPTIMIZERS: Mapping[str, Callable[[Any], optax.GradientTransformation]] = {
    "sgd": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, momentum=0.9),
    "nag": lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True),
    "adagrad": optax.adagrad,
    "adadelta": optax.adadelta,
    "rmsprop": lambda rate: optax.rmsprop(rate, decay=0.9),
    "adam": optax.adam,
    "nadam": optax.nadam,
    "amsgrad": optax.amsgrad,
    "radam": optax.radam,
    "rprop": optax.rprop,
    "lookahead": lambda rate: lookahead(optax.adam(rate)),
    "adabound": lambda rate: adabound(rate, 100 * rate),
    # In float32 the rates of noisy gradients hardly ever agree to the authors' tolerance.
    "swats": lambda rate: swats(rate, tolerance=0.01 * rate),
}
"""By name: `rate -> optimizer`, otherwise as published. A schedule will do for a rate but with the
last two and `rprop`, whose rates change by themselves."""


OWN_RATES = ("rprop", "adabound", "swats")
"""Names of the optimizers that no schedule goes with."""


def build(
    name: str,
    rate: Any,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    clip: float = 0.0,
) -> optax.GradientTransformation:
    """Makes an optimizer of those in `OPTIMIZERS`.

    Args:
      name: of the optimizer.
      rate: a number or, unless the name is in `OWN_RATES`, a schedule.
      momentum: share of the velocity that `momentum` and `nag` keep.
      weight_decay: share of every kernel that is taken away in an update, times its rate, beside
        the optimizer's own change (Loshchilov and Hutter, 2019); with plain SGD this is an L2
        penalty of half that weight.
      clip: largest norm of the whole gradient; 0 for any.

    Raises:
      ValueError: a schedule for an optimizer that has rates of its own.
    """
    if name in OWN_RATES and callable(rate):
        raise ValueError(f"{name} changes its rates by itself: it needs a constant one")
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    if name in ("momentum", "nag"):
        parts.append(optax.sgd(rate, momentum, nesterov=name == "nag"))
    else:
        parts.append(OPTIMIZERS[name](rate))
    if weight_decay:
        parts.append(_decay(rate, weight_decay))
    return optax.chain(*parts)


def descend(
    function: Callable[[jax.Array], jax.Array],
    start: jax.Array,
    optimizer: optax.GradientTransformation,
    steps: int,
) -> jax.Array:
    """Returns the way down a function, [steps + 1, ...], from the start, [...]."""

    def step(carry, _):
        place, state = carry
        change, state = optimizer.update(jax.grad(function)(place), state, place)
        place = optax.apply_updates(place, change)
        return (place, state), place

    _, path = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
    return jnp.concatenate([start[None], path])


def _decay(rate: Any, share: float) -> optax.GradientTransformation:
    kernels = optax.chain(
        optax.add_decayed_weights(share, lambda params: jax.tree.map(lambda p: p.ndim > 1, params)),
        optax.scale_by_learning_rate(rate),
    )

    def update(change, state, params):
        less, state = kernels.update(optax.tree.zeros_like(change), state, params)
        return optax.apply_updates(change, less), state

    return optax.GradientTransformation(kernels.init, update)


def schedule(kind: str, rate: float, steps: int, warmup: int = 0) -> optax.Schedule:
    """Makes the learning rate of each update.

    Args:
      kind: after the warm-up `constant`; `linear` or `cosine`, which fall to 0 at the end; or
        `triangular`, four cycles from a tenth of the rate.
      rate: the largest.
      steps: updates in all.
      warmup: updates in which the rate rises from 0 in a straight line.

    Raises:
      ValueError: the warm-up does not end before the last update.
    """
    if not 0 <= warmup < steps:
        raise ValueError(f"warmup must be 0 or more and less than {steps} steps, got {warmup}")
    left = steps - warmup
    after = {
        "constant": optax.constant_schedule(rate),
        "linear": optax.linear_schedule(rate, 0.0, left),
        "cosine": optax.cosine_decay_schedule(rate, left),
        "triangular": triangular(rate / 10, rate, max(left // 8, 1)),
    }[kind]
    if not warmup:
        return after
    return optax.join_schedules([optax.linear_schedule(0.0, rate, warmup), after], [warmup])
