"""Distances between vectors, and between sets of points.

Shapes: B queries, N classes or references, D features, P Q points of two sets, H W image.
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
        return vectors * jax.lax.rsqrt(jnp.where(squares > 1e-12, squares, 1e-12))

    return normalise(queries) @ normalise(references).T


def modified_hausdorff(
    first: jax.Array, second: jax.Array, first_mask: jax.Array, second_mask: jax.Array
) -> jax.Array:
    """Returns the modified Hausdorff distance of two sets of points (Dubuisson and Jain, 1994).

    It is the larger of two means: of the distances of the points of one set to the nearest point of
    the other.

    Args:
      first: points [P, D].
      second: points [Q, D].
      first_mask: bool [P], which of the points are in the set; at least one.
      second_mask: bool [Q].

    Returns:
      A scalar, 0 or more.

    >>> dot, line = jnp.array([[0.0]]), jnp.array([[0.0], [1.0], [2.0], [3.0]])
    >>> float(modified_hausdorff(dot, line, jnp.ones(1, bool), jnp.ones(4, bool)))
    1.5
    """
    chex.assert_rank([first, second, first_mask, second_mask], [2, 2, 1, 1])
    # The square root is taken of the least distances only.
    squared = squared_euclidean(first, second)
    to_second = jnp.where(second_mask, squared, jnp.inf).min(1)
    to_first = jnp.where(first_mask[:, None], squared, jnp.inf).min(0)

    def mean(squared, mask):
        return jnp.where(mask, jnp.sqrt(squared), 0).sum() / mask.sum()

    return jnp.maximum(mean(to_second, first_mask), mean(to_first, second_mask))


def ink_points(ink: jax.Array, capacity: int) -> tuple[jax.Array, jax.Array]:
    """Returns where a drawing is inked, as points around their own mean.

    Args:
      ink: bool [H, W].
      capacity: P, at least the number of inked pixels; of more, the lowest are left out.

    Returns:
      (points [P, 2], in pixels down and to the right; bool [P], which of them are there).
    """
    chex.assert_rank(ink, 2)
    count = jnp.minimum(ink.sum(), capacity)
    mask = jnp.arange(capacity) < count
    points = jnp.stack(jnp.nonzero(ink, size=capacity), -1).astype(jnp.float32)
    points = jnp.where(mask[:, None], points, 0)
    return points - points.sum(0) / jnp.maximum(count, 1), mask
