"""Strokes: how a program of strokes becomes paths in the plane, and paths become ink.

Shapes: `K` strokes of a character, `S` parts of a stroke, `N` points of a stroke. Coordinates are
(x to the right, y down).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

STROKES, PARTS, POINTS = 6, 5, 48
SIDE = 28
PEN_REACH, PEN_INK = 1.5, 1.5  # half the width of the pen's soft profile; ink per pixel of path


class Shape(NamedTuple):
    """A stroke's form, free of its place: a path that turns as it goes, like a turtle's."""

    direction: jax.Array  # [S] heading at the start of each part, radians, unwrapped
    turn: jax.Array  # [S] change of heading along each part: 0 is a line, 2 pi a loop
    length: jax.Array  # [S] length of each part; 0 where the stroke has fewer parts


class Character(NamedTuple):
    """The program of one character: what all its drawings share."""

    shape: Shape  # [K, S]
    present: jax.Array  # [K] bool
    dot: jax.Array  # [K] bool
    parent: jax.Array  # [K] the earlier stroke that this one is placed by
    at: jax.Array  # [K] where on the parent: 0 its start, 1 its end
    anchor: jax.Array  # [K] which point of this stroke is put there: 0 its start, 1 its end
    offset: jax.Array  # [K, 2] distance kept from there; 0 where strokes touch
    aim: jax.Array  # [K] bool: the end of this stroke is pulled to a point of its goal
    goal: jax.Array  # [K] an earlier stroke, or this one: a closed loop
    goal_at: jax.Array  # [K] where on the goal
    heavy: jax.Array  # [K] bool: some drawers thicken or fill this stroke
    size: jax.Array  # [] half the larger side of a drawing, pixels


def take(tree, index):
    """Rearranges a tree of arrays [K, ...] by stroke."""
    return jax.tree.map(lambda x: x[index], tree)


def where(condition, yes, no):
    """Chooses between trees by stroke; `condition` is bool [K]."""

    def pick(a, b):
        return jnp.where(condition.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(pick, yes, no)


def mirror(shape):
    """Turns strokes over, left to right."""
    return shape._replace(direction=jnp.pi - shape.direction, turn=-shape.turn)


def box(points, present):
    """Lower and upper corner [2] of the box around the strokes that are there."""
    there = present[:, None, None]
    low, high = jnp.where(there, points, jnp.inf), jnp.where(there, points, -jnp.inf)
    return jnp.min(low, (0, 1)), jnp.max(high, (0, 1))


def trace(made, rounding, wobble):
    """Points [K, N, 2] of all strokes: integrates headings, then puts the strokes in their places.

    `rounding` is the length over which a corner is taken, `wobble` [K, N] is added to headings.
    """
    direction, turn, length = (x[:, None, :] for x in made.shape)  # [K, 1, S]
    total = jnp.sum(length, -1)
    last = jnp.concatenate([direction[..., :1], (direction + turn)[..., :-1]], -1)
    corner = jnp.where(length > 0, direction - last, 0.0)
    along = (total * jnp.linspace(0, 1, POINTS))[..., None] - (jnp.cumsum(length, -1) - length)
    heading = turn * jnp.clip(along / jnp.maximum(length, 1e-6), 0, 1)  # [K, N, S]
    heading += corner * jnp.clip(along / rounding + 0.5, 0, 1)
    heading = direction[..., 0] + jnp.sum(heading, -1) + wobble
    steps = jnp.stack([jnp.cos(heading), jnp.sin(heading)], -1) * (total / POINTS)[..., None]
    local = jnp.cumsum(steps, 1)
    ramp = jnp.linspace(0, 1, POINTS)[:, None]
    spots = jnp.round(jnp.stack([made.at, made.anchor, made.goal_at]) * (POINTS - 1))
    at, anchor, goal_at = jnp.clip(spots, 0, POINTS - 1).astype(int)

    def place(k, placed):
        stroke = local[k] - local[k, anchor[k]] + placed[made.parent[k], at[k]] + made.offset[k]
        goal = made.goal[k]
        goal = jnp.where(goal == k, stroke[0], placed[goal, goal_at[k]])
        return placed.at[k].set(stroke + made.aim[k] * ramp * (goal - stroke[-1]))

    return jax.lax.fori_loop(0, STROKES, place, jnp.zeros_like(local))


def ink(points, pen):
    """Image [28, 28]: the pen's soft profile along all paths, saturating where they meet.

    `points` [K, N, 2] are in pixels; `pen` [K] is the weight of each stroke, 0 if it is absent.
    """
    middle = (points[:, 1:] + points[:, :-1]) / 2
    amount = PEN_INK * pen[:, None] * jnp.linalg.norm(jnp.diff(points, axis=1), axis=-1)
    distance = (jnp.arange(SIDE) - middle.reshape(-1, 2, 1)) / PEN_REACH
    near = 35 / 32 / PEN_REACH * jnp.maximum(1 - jnp.square(distance), 0.0) ** 3  # sums to 1
    heavy = near[:, 1] * amount.reshape(-1, 1)
    return jnp.clip(heavy.T @ near[:, 0], 0.0, 1.0)
