"""Two images on one canvas, one above on the left, one below on the right, anew in every step.

Shapes: n images, B batch, S side of the canvas, C channels.
"""

import jax
import jax.numpy as jnp


def two_digits(
    key: jax.Array, images: jax.Array, index: jax.Array, *, size: int = 36, shift: int = 4
) -> tuple[jax.Array, jax.Array]:
    """Lays images over one another, one above on the left and another below on the right.

    As MultiMNIST of Sabour et al., 2017, section 6, with the places of Sener and Koltun, 2018,
    section 5.1, whose files are not needed.

    Args:
      key: a typed PRNG key.
      images: uint8 [n, H, W, C].
      index: int [B], of the first image of each canvas.
      size: S, in pixels.
      shift: by which an image may lie further down and to the right than the corner says, or the
        second one further up and to the left, in pixels.

    Returns:
      uint8 [B, S, S, C], where the brighter image is seen, and int [B], of the second images, which
      are drawn from all.

    Raises:
      ValueError: the images do not fit.
    """
    height, width, channels = images.shape[1:]
    if min(size - height, size - width) < shift:
        raise ValueError(
            f"images of {height} x {width} pixels that move by {shift} need a canvas of at least "
            f"{max(height, width) + shift}, got {size}"
        )

    def one(key, first, second):
        moves = jax.random.randint(key, (2, 2), 0, shift + 1)
        corner = jnp.array([size - height, size - width])
        canvas = jnp.zeros((2, size, size, channels), images.dtype)
        for layer, (which, place) in enumerate(((first, moves[0]), (second, corner - moves[1]))):
            at = (layer, place[0], place[1], 0)
            canvas = jax.lax.dynamic_update_slice(canvas, images[which][None], at)
        return canvas.max(0)

    other_key, place_key = jax.random.split(key)
    other = jax.random.randint(other_key, index.shape, 0, len(images))
    return jax.vmap(one)(jax.random.split(place_key, len(index)), index, other), other
