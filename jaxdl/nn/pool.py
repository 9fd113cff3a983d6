"""Pooling that differentiates twice at the cost of a reshape.

Shapes: B batch, H W image, C channels.
"""

import chex
import jax


def max_pool(images: jax.Array, window: int = 2) -> jax.Array:
    """Takes the maximum over windows that do not overlap.

    `flax.linen.max_pool` is a `reduce_window`, whose second derivative is slow; a reshape and a
    maximum give the same numbers.

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
    images = images[:, : rows * window, : columns * window]
    return images.reshape(batch, rows, window, columns, window, channels).max((2, 4))
