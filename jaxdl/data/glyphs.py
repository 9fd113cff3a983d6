"""Glyphs: endless handwritten-like characters, drawn by a pure, compiled JAX function.

A stand-in for Omniglot that needs no files, after the account of handwriting in Lake,
Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic program
induction", Science 350 (2015): a character is a small program, a drawing is one noisy run of it.

- A character is a few *strokes*, each a chain of *parts* with corners or smooth joints between.
- An alphabet reuses a small *vocabulary* of strokes, so its characters share parts.
- Strokes stand in a *relation*: they start, cross or end on an earlier stroke, or stand apart.
- Drawers keep the program and vary its run: proportions, slant, size, place, corners, joints.

Shapes: `K` strokes of a character, `S` parts of a stroke, `V` strokes of a vocabulary; `C`
classes, `D` drawers. An undisturbed character fills the square from -1 to 1.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data import strokes
from jaxdl.data.strokes import PARTS, SIDE, STROKES, Character, Shape

VOCABULARY = 6
ALPHABET_SIZE = 32  # Omniglot: 1,623 characters in 50 alphabets
CANDIDATES = 6  # of which the most legible becomes a character
SIZE, DOT, RING = 9.0, 2.5, 8.0  # pixels: half the larger side; length of a dot's scribble, a ring
CHUNK = 128  # classes rendered per call: bounds the memory


class Style(NamedTuple):
    """What the characters of one alphabet have in common."""

    straight: jax.Array  # probability that a part is a straight line
    smooth: jax.Array  # probability that two parts join without a corner
    free: jax.Array  # degrees by which angles stray from multiples of 45
    strokes: jax.Array  # probability of each stroke after the first
    parts: jax.Array  # probability of each part after the first
    dots: jax.Array  # probability that a stroke is a dot
    dot: jax.Array  # pixels of its path: a blob or a small ring
    reuse: jax.Array  # probability that a stroke comes from the vocabulary
    vocabulary: Any  # Shape [V, S]


class _Dice:
    """All random numbers of a function from one call: separate calls take minutes to compile."""

    def __init__(self, key, count):
        self._uniform = jax.random.uniform(key, (count,), minval=1e-6)
        self._normal = jax.scipy.special.ndtri(self._uniform)
        self._used = 0

    def _next(self, numbers, shape):
        start, self._used = self._used, self._used + math.prod(shape)
        return numbers[start : self._used].reshape(shape)  # fails when there are too few

    def uniform(self, low, high, *shape):
        return low + (high - low) * self._next(self._uniform, shape)

    def normal(self, *shape):
        return self._next(self._normal, shape)

    def coin(self, probability, *shape):
        return self.uniform(0.0, 1.0, *shape) < probability

    def choice(self, weights, *shape):
        """Picks keys of `weights`, each as often as its value says."""
        edges = np.cumsum(list(weights.values())) / sum(weights.values())
        index = jnp.sum(self.uniform(0.0, 1.0, *shape)[..., None] > edges[:-1], -1)
        return jnp.array(list(weights), jnp.float32)[index]


def alphabet(key: jax.Array) -> Style:
    """Makes the style of an alphabet: how straight, square, long and dotted, and what recurs."""
    key, vocabulary = jax.random.split(key)
    dice = _Dice(key, 8)
    straight = dice.choice({0.1: 1, 0.35: 2, 0.6: 2, 0.95: 2})
    style = Style(
        straight=straight,
        smooth=dice.uniform(0.0, 0.7) * (straight < 0.9),
        free=dice.choice({0: 1, 12: 2}),
        strokes=dice.uniform(0.15, 0.55),
        parts=dice.uniform(0.1, 0.6),
        dots=dice.choice({0.0: 4, 0.08: 4, 0.25: 2, 0.9: 0.3}),
        dot=dice.choice({DOT: 2, RING: 1}),
        reuse=dice.uniform(0.2, 0.9),
        vocabulary=None,
    )
    shapes = jax.vmap(_shape, (0, None))(jax.random.split(vocabulary, VOCABULARY), style)
    return style._replace(vocabulary=shapes)


def _shape(key, style):
    """One stroke: lines, arcs, hooks and loops, joined smoothly or by corners."""
    dice, part = _Dice(key, 64), jnp.arange(PARTS)
    arc = dice.choice({50: 3, 90: 4, 130: 3, 180: 4, 260: 1.5, 340: 1}, PARTS)
    arc = arc * dice.choice({-1: 1, 1: 1}, PARTS) + style.free * dice.normal(PARTS)
    turn = jnp.where(dice.coin(style.straight, PARTS), 0.0, arc)
    corner = dice.choice({-135: 3, -90: 10, -45: 1, 45: 1, 90: 10, 135: 3, 180: 2}, PARTS)
    corner = jnp.where(dice.coin(style.smooth, PARTS), 0.0, corner)
    corner += style.free * dice.normal(PARTS)
    first = dice.choice({0: 12, 90: 14, 45: 1, 135: 2, 180: 3, 270: 1.5, 225: 0.5, 315: 0.5})
    first += style.free * dice.normal()
    length = jnp.exp(0.45 * dice.normal(PARTS)) * (0.6 + jnp.abs(turn) / 270)
    # Repetition: each part like the first (square, m, 3) or its mirror image (zigzag, wave).
    repeat = dice.choice({0: 6, 1: 1.5, 2: 1.5})
    flip = jnp.where(repeat == 2, 1 - 2 * (part % 2), 1)
    turn = jnp.where(repeat > 0, turn[0] * flip, turn)
    corner = jnp.where(repeat > 0, corner[1] * flip, corner)
    length = jnp.where(repeat > 0, length[0], length)
    length *= part <= jnp.sum(dice.coin(style.parts, PARTS - 1))
    direction = first + jnp.cumsum(jnp.concatenate([jnp.zeros(1), turn[:-1] + corner[1:]]))
    return Shape(jnp.deg2rad(direction), jnp.deg2rad(turn), length)


def character(key: jax.Array, style: Style | None = None) -> Character:
    """Makes a character; `vmap` over keys for more.

    Args:
      key: PRNG key, of which the character is a pure function.
      style: what `alphabet` returns; None makes an alphabet for this character alone.

    Returns:
      The program of the character, to be run by `draw`.
    """
    key, own = jax.random.split(key)
    style = alphabet(own) if style is None else style
    made, score = jax.vmap(_candidate, (0, None))(jax.random.split(key, CANDIDATES), style)
    return jax.tree.map(lambda x: x[jnp.argmax(score)], made)


def _candidate(key, style):
    """A character and its legibility: people write compactly, and not over their own strokes."""
    key, shapes = jax.random.split(key)
    dice, k, first_part = _Dice(key, 160), jnp.arange(STROKES), jnp.arange(PARTS) == 0
    # Forms: from the vocabulary, or new, or the last one again; some mirrored, some dots.
    new = jax.vmap(_shape, (0, None))(jax.random.split(shapes, STROKES), style)
    known = dice.uniform(0, VOCABULARY, STROKES).astype(int)
    reuse = dice.coin(style.reuse, STROKES)
    shape = strokes.where(reuse, strokes.take(style.vocabulary, known), new)
    shape = shape._replace(length=shape.length * jnp.exp(0.35 * dice.normal(STROKES, 1)))
    again = (k > 0) & dice.coin(0.25, STROKES)
    shape = strokes.where(again, strokes.take(shape, jnp.maximum(k - 1, 0)), shape)
    over = dice.coin(jnp.where(again, 0.5, 0.1), STROKES)
    shape = strokes.where(over, strokes.mirror(shape), shape)
    dot = dice.coin(style.dots, STROKES) & ((k > 0) | (style.dots > 0.5))
    scribble = 4 * jnp.pi * first_part + 0 * shape.turn
    shape = strokes.where(dot, Shape(shape.direction, scribble, 0 * shape.length), shape)
    # Relations: touching an earlier stroke, mostly at an end or the middle, or standing apart.
    earlier = jnp.floor(dice.uniform(0, k, STROKES)).astype(int)
    at = jnp.round(dice.uniform(0, 2, STROKES)) / 2
    apart = (dot & (style.dot < RING)) | dice.coin(0.15, STROKES)
    angle = jnp.pi / 4 * jnp.floor(dice.uniform(0, 8, STROKES))
    distance = dice.uniform(0.4, 1.0, STROKES) * (apart & (k > 0))
    # Ends: on a stroke (A, B, P), on their own start if they bend enough (O, a box), or nowhere.
    bend = jnp.abs(shape.direction + shape.turn - shape.direction[:, :1]) * (shape.length > 0)
    closing = (jnp.max(bend, -1) > 3.0) & dice.coin(0.3, STROKES)
    bridging = (k > 0) & dice.coin(0.25, STROKES)
    made = Character(
        shape=shape,
        present=k <= jnp.sum(dice.coin(style.strokes, STROKES - 1)),
        dot=dot,
        parent=jnp.where(dice.coin(0.5, STROKES), jnp.maximum(k - 1, 0), earlier),
        at=jnp.where(dice.coin(0.3, STROKES), dice.uniform(0, 1, STROKES), at),
        anchor=dice.choice({0.0: 6, 0.5: 2, 1.0: 1.5}, STROKES),
        offset=distance[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], -1),
        aim=(closing | bridging) & ~dot,
        goal=jnp.where(closing, k, jnp.floor(dice.uniform(0, k, STROKES)).astype(int)),
        goal_at=jnp.round(dice.uniform(0, 2, STROKES)) / 2,
        heavy=dice.coin(0.06, STROKES),
        size=jnp.clip(SIZE * jnp.exp(0.24 * dice.normal()), 4.0, 12.5),
    )
    made = _double(dice, made)
    points = strokes.trace(made, 0.02, jnp.zeros((STROKES, strokes.POINTS)))
    low, high = strokes.box(points, made.present)
    half = jnp.maximum(jnp.max(high - low) / 2, 0.2)
    dots = style.dot / made.size * (made.dot[:, None] & first_part)
    shape = made.shape._replace(length=made.shape.length / half + dots)
    made = made._replace(shape=shape, offset=made.offset / half)
    points = SIDE / 2 + (points - (low + high) / 2) / half * made.size
    steps = jnp.linalg.norm(jnp.diff(points, axis=1), axis=-1) * made.present[:, None]
    path = jnp.sum(steps) + 3.0
    width, height = (high - low) / half + 0.3
    score = 6 * jnp.sum(strokes.ink(points, made.present * 1.0)) / (path * strokes.PEN_INK)
    score -= jnp.log(path / 50) ** 2 + 0.7 * jnp.log(width / height) ** 2
    return made, score - 10 * jnp.maximum(jnp.max(steps) - 0.85, 0.0)  # points must not show


def _double(dice, made):
    """Sometimes the last strokes repeat the first, beside or below, or mirrored (A, M, W)."""
    k, half = jnp.arange(STROKES), jnp.clip(jnp.sum(made.present), 1, STROKES // 2)
    second = k >= half
    doubled, mirrored, joined, beside = (dice.coin(p) for p in (0.2, 0.6, 0.6, 0.7))
    gap = dice.uniform(0.3, 1.0) * ~(mirrored & joined)
    copy = strokes.take(made._replace(size=second), k % half)
    over = copy._replace(shape=strokes.mirror(copy.shape), offset=copy.offset * jnp.array([-1, 1]))
    copy = strokes.where(second & mirrored, over, copy)
    parent, goal = copy.parent + half * second, copy.goal + half * second
    copy = copy._replace(parent=parent, goal=goal, present=k < 2 * half, size=made.size)
    shift = gap * jnp.where(beside, jnp.array([1, 0]), jnp.array([0, 1]))
    root = k == half
    copy = copy._replace(
        parent=jnp.where(root, 0, parent),
        at=jnp.where(root, 0, copy.at),
        anchor=jnp.where(root, 0, copy.anchor),
        offset=jnp.where(root[:, None], shift, copy.offset),
    )
    return jax.tree.map(lambda a, b: jnp.where(doubled, a, b), copy, made)


def draw(key: jax.Array, made: Character) -> jax.Array:
    """Draws a character once, as one drawer does; `vmap` over keys for more drawings.

    Args:
      key: PRNG key of the drawing.
      made: the character, from `character`.

    Returns:
      Image float32 [28, 28] in [0, 1]; ink is 1.
    """
    normal = _Dice(key, 256).normal
    care = 0.85 * jnp.exp(0.3 * normal())  # some drawers are careful, some are not
    # Strokes: directions, curvature, proportions, joints that miss or overshoot, wobble.
    direction, turn, length = made.shape
    direction += care * (0.056 * normal(STROKES, PARTS) + 0.05 * normal(STROKES, 1))
    turn += care * (0.084 + 0.07 * jnp.abs(turn)) * normal(STROKES, PARTS)
    length *= jnp.exp(care * (0.19 * normal(STROKES, PARTS) + 0.14 * normal(STROKES, 1)))
    length *= jnp.where(made.dot, jnp.exp(0.5 * normal()), 1.0)[:, None]
    at = made.at + care * 0.04 * normal(STROKES)
    offset = made.offset + care * 0.05 * normal(STROKES, 2)
    drawn = made._replace(shape=Shape(direction, turn, length), at=at, offset=offset)
    phase = np.pi * np.arange(1, 5)[:, None] * np.linspace(0, 1, strokes.POINTS)
    waves = np.concatenate([np.sin(phase), np.cos(phase)]).astype(np.float32)
    rounding = jnp.exp(0.7 * normal() - 2.3)
    points = strokes.trace(drawn, rounding, 0.035 * care * normal(STROKES, 8) @ waves)
    # The whole: proportions (a bend of the plane), slant and tilt, size and aspect, place.
    x, y = jnp.moveaxis(points - sum(strokes.box(points, made.present)) / 2, -1, 0)
    bend = 0.05 * care * normal(2, 3, 1, 1)
    square = jnp.stack([x * x, x * y, y * y])
    x, y = x + jnp.sum(bend[0] * square, 0), y + jnp.sum(bend[1] * square, 0)
    slant, tilt, size, aspect = jnp.array([0.12, 0.075, 0.1, 0.05]) * normal(4)
    x, y = x + (slant - tilt) * y, y + tilt * x
    points = jnp.stack([x * jnp.exp(aspect), y / jnp.exp(aspect)], -1) * made.size * jnp.exp(size)
    # The pen: steady, but some drawers thicken a stroke or fill a loop.
    fill = made.heavy & (normal(STROKES) > 0.0)
    pen = made.present * jnp.exp(0.05 * normal()) * jnp.where(fill, 4.0, 1.0)
    low, high = strokes.box(points, made.present)
    fit = jnp.minimum(1.0, 25.0 / jnp.max(high - low))
    margin = 1.0 + fit * (high - low) / 2
    place = jnp.clip(13.0 + 1.7 * normal(2), margin, SIDE - 1 - margin)
    return strokes.ink(fit * (points - (low + high) / 2) + place, pen)


@functools.partial(jax.jit, static_argnames="drawers")
def _render(key, numbers, drawers):
    """Images uint8 [C, drawers, 28, 28]; class by class, which the processor's cache likes."""
    alphabets, characters, hands = jax.random.split(key, 3)

    def one(number):
        style = alphabet(jax.random.fold_in(alphabets, number // ALPHABET_SIZE))
        made = character(jax.random.fold_in(characters, number), style)
        keys = jax.random.split(jax.random.fold_in(hands, number), drawers)
        return jnp.round(255 * jax.vmap(draw, (0, None))(keys, made)).astype(jnp.uint8)

    return jax.lax.map(one, numbers)


def load(*, classes: int = 4800, drawers: int = 20, seed: int = 0) -> dict[str, dict[str, Any]]:
    """Makes a whole data set, in the form of `sources.load("omniglot")`.

    Args:
      classes: number of characters C, 1 or more; fewer are the first of more.
      drawers: drawings D of each, 1 or more.
      seed: of the glyphs; those of two seeds are different.

    Returns:
      `{"train": {...}}` with image uint8 [C, D, 28, 28], ink 255 on 0; alphabet and character
      int32 [C]; drawer int32 [C, D].

    Raises:
      ValueError: no classes or no drawers.
    """
    if min(classes, drawers) < 1:
        raise ValueError(f"got {classes} classes of {drawers} drawers, expected at least 1 of each")
    number = np.arange(-(-classes // CHUNK) * CHUNK, dtype=np.int32)
    parts = np.split(number, len(number) // CHUNK)
    images = [_render(jax.random.key(seed), part, drawers) for part in parts]  # asynchronous
    number = number[:classes]
    return {
        "train": {
            "image": np.concatenate(images)[:classes],
            "alphabet": number // ALPHABET_SIZE,
            "character": number % ALPHABET_SIZE + 1,
            "drawer": np.tile(np.arange(drawers, dtype=np.int32), (classes, 1)),
        }
    }
