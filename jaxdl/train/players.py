"""A step of networks that play against one another, each with a loss and an optimizer of its own.

Shapes: B batch, U updates of the turn that has most.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jaxdl.train.state import TrainState, averaged, step_key, variables
from jaxdl.train.step import Step, where_inexact

Losses = Callable[[Any, Any, jax.Array, Any], tuple[Mapping[str, jax.Array], tuple[Any, Any]]]

OneOrEach: TypeAlias = optax.GradientTransformation | Sequence[optax.GradientTransformation]


class Turn(NamedTuple):
    """What some players do at the same time, from one pass over a batch."""

    losses: Losses
    """`(params, extra, key, batch) -> ({player: scalar}, (extra, metrics))`, with the parameters
    of all players by name; each of `players` goes down its own loss."""
    players: tuple[str, ...]
    """Who moves."""
    updates: int = 1
    """How often, each time on examples of its own."""


def by_player(
    names: Sequence[str],
    optimizer: OneOrEach,
) -> dict[str, optax.GradientTransformation]:
    """Returns the optimizer of each player, given one for all of them or one for each."""
    if isinstance(optimizer, optax.GradientTransformation):  # itself a tuple
        optimizer = [optimizer] * len(names)
    return dict(zip(names, optimizer, strict=True))


def together(
    optimizers: Mapping[str, optax.GradientTransformation],
) -> optax.GradientTransformation:
    """Makes one optimizer of those of all players, whose state is theirs by name."""

    def init(params):
        return {name: own.init(params[name]) for name, own in optimizers.items()}

    def update(gradient, state, params=None):
        found = {
            name: own.update(gradient[name], state[name], params and params[name])
            for name, own in optimizers.items()
        }
        return tuple({name: pair[part] for name, pair in found.items()} for part in (0, 1))

    return optax.GradientTransformation(init, update)


def players_step(
    turns: Sequence[Turn],
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    axis_name: str | None = None,
    average: str | None = None,
    average_decay: float = 0.0,
) -> Step:
    """Makes the step in which the players take their turns.

    A turn sees what the turns before it have changed. Its batch has leaves [U * B, ...] for U
    updates; update u takes every U-th example, so that devices that share the batch need not
    exchange any, and a turn of one update the last of each U. Updates are counted over all turns,
    and the key of each is `fold_in(key, u)`.

    Args:
      turns: in order.
      optimizers: by player.
      axis_name: see `jaxdl.train.step.gradient_step`.
      average: the player of whose parameters, and of `extra[player]`, its statistics,
        `extra["average"]` is an average, see `jaxdl.train.state.averaged`; None for none.
      average_decay: share of it that a step keeps.

    Returns:
      `(state, batch) -> (state, metrics)`; parameters, optimizers' states and losses are dicts by
      player. The metrics are those of the turns, means over the updates of each, and
      `{player}_gradient_norm`.
    """
    most = max(turn.updates for turn in turns)

    def move(turn, params, opt_state, extra, key, batch):
        def own(moving):
            return turn.losses(params | moving, extra, key, batch)

        moving = {name: params[name] for name in turn.players}
        losses, pull, (seen, metrics) = jax.vjp(own, moving, has_aux=True)
        # What XLA does not need of the pulls it leaves out: each loss moves its own player alone.
        gradient = {
            name: pull({other: jnp.full_like(losses[other], other == name) for other in losses})[0][
                name
            ]
            for name in turn.players
        }
        if axis_name is not None:
            gradient, seen, metrics = where_inexact(
                lambda leaf: jax.lax.pmean(leaf, axis_name), (gradient, seen, metrics)
            )
        params, opt_state = dict(params), dict(opt_state)
        for name in turn.players:
            metrics = metrics | {f"{name}_gradient_norm": optax.tree.norm(gradient[name])}
            change, opt_state[name] = optimizers[name].update(
                gradient[name], opt_state[name], params[name]
            )
            params[name] = optax.apply_updates(params[name], change)
        return (params, opt_state, extra | seen), metrics

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        key = step_key(state, 0)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        parts = jax.tree.map(lambda leaf: leaf.reshape(-1, most, *leaf.shape[1:]), batch)
        carry, count = (state.params, state.opt_state, state.extra), 0
        metrics: dict[str, jax.Array] = {}
        for turn in turns:

            def once(carry, number, turn=turn, first=count):
                which = number if turn.updates > 1 else -1
                part = jax.tree.map(lambda leaf: leaf[:, which], parts)
                return move(turn, *carry, jax.random.fold_in(key, first + number), part)

            if turn.updates == 1:
                carry, found = once(carry, 0)
            else:
                carry, found = jax.lax.scan(once, carry, jnp.arange(turn.updates))
                found = jax.tree.map(lambda metric: metric.mean(0), found)
            metrics, count = metrics | found, count + turn.updates
        params, opt_state, extra = carry
        if average is not None:
            now = variables(params[average], {"batch_stats": extra[average]})
            moved = averaged(state.extra["average"], now, state.step, average_decay)
            extra = extra | {"average": moved}
        return TrainState(state.step + 1, params, opt_state, extra, state.key), metrics

    return step
