"""Images lost among pieces of others, made anew in every training step.

Shapes: n images, B batch, S side of the canvas, C channels.
"""

import jax
import jax.numpy as jnp


def cluttered(
    key: jax.Array,
    images: jax.Array,
    index: jax.Array,
    *,
    size: int = 60,
    pieces: int = 6,
    piece: int = 8,
) -> jax.Array:
    """Puts images somewhere on larger canvases, with pieces of others around and over them.

    As cluttered MNIST of Mnih et al., 2014, and of Jaderberg et al., 2015, section 4.1, whose files
    are not needed.

    Args:
      key: a typed PRNG key.
      images: uint8 [n, H, W, C].
      index: int [B], the images to put on a canvas each.
      size: S, in pixels.
      pieces: of other images, on each canvas.
      piece: their side, in pixels.

    Returns:
      uint8 [B, S, S, C].
    """
    height, width, channels = images.shape[1:]

    def lay(canvas, part, key):
        limits = [size - side + 1 for side in part.shape[:2]]
        row, column = jax.random.randint(key, (2,), 0, jnp.array(limits))
        there = jax.lax.dynamic_slice(canvas, (row, column, 0), part.shape)
        return jax.lax.dynamic_update_slice(canvas, jnp.maximum(there, part), (row, column, 0))

    def one(key, index):
        place_key, *keys = jax.random.split(key, 1 + pieces)
        canvas = lay(jnp.zeros((size, size, channels), images.dtype), images[index], place_key)
        for key in keys:
            which_key, cut_key, place_key = jax.random.split(key, 3)
            other = jax.random.randint(which_key, (), 0, len(images))
            limits = jnp.array([height - piece + 1, width - piece + 1])
            row, column = jax.random.randint(cut_key, (2,), 0, limits)
            part = jax.lax.dynamic_slice(
                images, (other, row, column, 0), (1, piece, piece, channels)
            )
            canvas = lay(canvas, part[0], place_key)
        return canvas

    return jax.vmap(one)(jax.random.split(key, len(index)), index)
