"""Distances between vectors, and between drawings.

Shapes: B queries, N classes or references, D features, H W image.
"""

import chex
import jax
import jax.numpy as jnp


def squared_euclidean(queries: jax.Array, references: jax.Array) -> jax.Array:
    """Returns the squared Euclidean distance of every query to every reference.

    Args:
      queries: [B, D].
      references: [N, D].

    Returns:
      [B, N], 0 or more.

    >>> squared_euclidean(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 2.0], [4.0, 6.0]])).tolist()
    [[0.0, 25.0]]
    """
    chex.assert_rank([queries, references], 2)
    chex.assert_equal_shape_suffix([queries, references], 1)
    # Not |q|^2 - 2 q.r + |r|^2, which loses small distances between large vectors.
    return jnp.sum((queries[:, None] - references) ** 2, -1)


def cosine_similarity(queries: jax.Array, references: jax.Array) -> jax.Array:
    """Returns the cosine of the angle between every query and every reference.

    Args:
      queries: [B, D].
      references: [N, D].

    Returns:
      [B, N], from -1 to 1; 0 where a vector is 0.

    >>> cosine_similarity(jnp.array([[3.0, 4.0]]), jnp.array([[6.0, 8.0], [0.0, 2.0]])).tolist()
    [[1.0, 0.800000011920929]]
    """
    chex.assert_rank([queries, references], 2)
    chex.assert_equal_shape_suffix([queries, references], 1)

    def normalise(vectors):
        squares = jnp.sum(vectors**2, -1, keepdims=True)
        return vectors * jax.lax.rsqrt(jnp.maximum(squares, 1e-12))

    return normalise(queries) @ normalise(references).T


def modified_hausdorff(queries: jax.Array, references: jax.Array) -> jax.Array:
    """Returns the modified Hausdorff distance of every query to every reference, in pixels.

    Of two drawings it is the larger of two means: of the distance of each inked pixel of one to the
    nearest inked pixel of the other (Dubuisson and Jain, 1994).

    Args:
      queries: bool [B, H, W], where there is ink; in every drawing at least one pixel.
      references: bool [N, H, W].

    Returns:
      [B, N], 0 or more.

    >>> dot, line = jnp.zeros((1, 1, 4), bool).at[0, 0, 0].set(True), jnp.ones((1, 1, 4), bool)
    >>> modified_hausdorff(dot, line).tolist()  # (0 + 1 + 2 + 3) / 4
    [[1.5]]
    """
    chex.assert_rank([queries, references], 3)
    chex.assert_equal_shape_suffix([queries, references], 2)

    def directed(ink, other):  # [B, N]: mean over the ink of each of how far the other's is
        mask = ink.reshape(len(ink), -1).astype(jnp.float32)
        away = jax.vmap(distance_to_ink)(other).reshape(len(other), -1)
        return mask @ away.T / mask.sum(1, keepdims=True)

    return jnp.maximum(directed(queries, references), directed(references, queries).T)


def distance_to_ink(ink: jax.Array) -> jax.Array:
    """Returns how far every pixel is from the nearest inked one, in pixels.

    Args:
      ink: bool [H, W]; at least one pixel is inked.

    Returns:
      [H, W].
    """
    rows, columns = (jnp.arange(size, dtype=jnp.float32) for size in ink.shape)
    # Squared distances, first to the ink of the same column, then over columns.
    vertical = jnp.where(ink[None], ((rows[:, None] - rows) ** 2)[..., None], jnp.inf).min(1)
    squared = (vertical[:, None] + ((columns[:, None] - columns) ** 2)[None]).min(-1)
    return jnp.sqrt(squared)
