"""Pooling that differentiates twice at the cost of a reshape or of slices.

Shapes: B batch, H W image, C channels.
"""

import functools
from typing import Literal

import chex
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.geometry import output_size


def max_pool(images: jax.Array, window: int = 2) -> jax.Array:
    """Takes the maximum over windows that do not overlap.

    `flax.linen.max_pool` is a `reduce_window`, whose second derivative is slow; a reshape and
    comparisons give the same numbers.

    Args:
      images: [B, H, W, C].
      window: side of the window and stride, in pixels; a border that does not fill a window is
        dropped, as with padding "VALID".

    Returns:
      [B, H // window, W // window, C].
    """
    chex.assert_rank(images, 4)
    if window == 1:
        return images
    batch, height, width, channels = images.shape
    rows, columns = height // window, width // window
    windows = images[:, : rows * window, : columns * window]
    windows = windows.reshape(batch, rows, window, columns, window, channels)
    return largest(largest(windows, 2), 3)


def pool(
    images: jax.Array,
    window: int,
    *,
    stride: int | None = None,
    padding: int = 0,
    ceil: bool = False,
    kind: Literal["max", "average", "l2"] = "max",
) -> jax.Array:
    """Reduces windows, which may overlap and reach over the edge, to one value each.

    Args:
      images: [B, H, W, C].
      window: side of the window, in pixels.
      stride: its step, in pixels; None for `window`.
      padding: rows and columns by which windows may begin outside the image; at most half a window.
      ceil: see `jaxdl.ops.geometry.output_size`.
      kind: the largest value; the average; or the root of the sum of squares. What is outside the
        image is never counted.

    Returns:
      [B, H', W', C].

    Raises:
      ValueError: more padding than half a window, or a window larger than the image.
    """
    chex.assert_rank(images, 4)
    if 2 * padding > window:
        raise ValueError(f"padding {padding} is more than half of the window {window}")
    stride = stride or window
    sizes = images.shape[1:3]
    counts = [output_size(n, window, stride=stride, padding=padding, ceil=ceil) for n in sizes]
    ends = [
        max((count - 1) * stride + window - n - padding, 0)
        for count, n in zip(counts, sizes, strict=True)
    ]
    pads = ((0, 0), *((padding, end) for end in ends), (0, 0))

    def windows(values, fill):
        values = jnp.pad(values, pads, constant_values=fill)
        rows, columns = ((count - 1) * stride + 1 for count in counts)
        return [
            values[:, row : row + rows : stride, column : column + columns : stride]
            for row, column in np.ndindex(window, window)
        ]

    if kind == "max":
        return functools.reduce(_larger, windows(images, -jnp.inf))
    if kind == "average":
        inside = sum(windows(jnp.ones((1, *sizes, 1), images.dtype), 0))
        return sum(windows(images, 0)) / inside
    squares = sum(windows(images * images, 0))
    positive = squares > 0  # the root of 0 has no gradient
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1)), 0)


def largest(values: jax.Array, axis: int) -> jax.Array:
    """Takes the maximum over a short axis, whose first largest entry has the whole gradient.

    `jnp.max` shares the gradient among the entries that equal the maximum. XLA may compute the
    entries again for that, with another rounding, so that none does, and 0 / 0 follows.

    Args:
      values: an array; NaN is larger than any number.
      axis: which to leave out.
    """
    entries = [jax.lax.index_in_dim(values, i, axis, False) for i in range(values.shape[axis])]
    return functools.reduce(_larger, entries)


def _larger(a: jax.Array, b: jax.Array) -> jax.Array:
    return jax.lax.select((a >= b) | jnp.isnan(a), a, b)
