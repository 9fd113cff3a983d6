"""Functions on which optimizers are tried."""

import jax


def rosenbrock(place: jax.Array) -> jax.Array:
    """Returns (1 - x)^2 + 100 (y - x^2)^2, whose minimum is 0 at (1, 1), in a curved valley.

    Args:
      place: x and y, [2], or [2, ...] for several places.

    >>> rosenbrock((0.0, 1.0))
    101.0
    """
    x, y = place
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2
