"""Ridge regression in closed form.

Shapes: n examples, D features, M outputs.
"""

import chex
import jax
import jax.numpy as jnp


def ridge(features: jax.Array, targets: jax.Array, penalty: jax.Array | float) -> jax.Array:
    """Returns the weights W that make |X W - Y|^2 + penalty |W|^2 smallest.

    Solves the smaller of the two equal systems, (X'X + penalty I) W = X'Y or, by Woodbury's
    identity, W = X' (XX' + penalty I)^-1 Y (Bertinetto et al., 2019, equations 3 and 4).

    Args:
      features: X, [n, D].
      targets: Y, [n, M].
      penalty: positive.

    Returns:
      [D, M].

    >>> ridge(jnp.array([[1.0], [2.0]]), jnp.array([[1.0], [3.0]]), 2.0).round(4).tolist()
    [[1.0]]
    """
    chex.assert_rank([features, targets], 2)
    chex.assert_equal_shape_prefix([features, targets], 1)
    examples, dimensions = features.shape

    def solve(matrix, right):
        matrix = matrix + penalty * jnp.eye(len(matrix), dtype=matrix.dtype)
        return jax.scipy.linalg.solve(matrix, right, assume_a="pos")

    if examples < dimensions:
        return features.T @ solve(features @ features.T, targets)
    return solve(features.T @ features, features.T @ targets)
