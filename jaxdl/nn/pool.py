"""Pooling that differentiates twice at the cost of a reshape.

Shapes: B batch, H W image, C channels.
"""

import functools

import chex
import jax
import jax.numpy as jnp


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
