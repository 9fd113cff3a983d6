"""What several tasks have in common: their losses, their gradients, their parameters.

Shapes: T tasks, P parameters.
"""

from typing import Any

import jax
import jax.numpy as jnp


def uncertainty_weighted(losses: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Weighs losses by how uncertain each task is, which is learned (Kendall et al., 2018).

    `loss / variance + log(deviation)`, the paper's equation 10 for a classification. For a loss
    that stays at L the best log-variance is log(2 L), at which the weighted loss has the value
    1/2 + log(2 L) / 2: the gradient of a task is divided by twice its loss.

    Args:
      losses: [T].
      log_variance: [T], parameters.

    Returns:
      [T], which may be negative.
    """
    return jnp.exp(-log_variance) * losses + log_variance / 2


def conflict(gradients: jax.Array) -> jax.Array:
    """Returns the cosines [T, T] between the gradients [T, P] of tasks; below 0 they conflict."""
    norms = jnp.sqrt((gradients**2).sum(-1))
    products = gradients @ gradients.T
    return products / jnp.maximum(norms[:, None] * norms, jnp.finfo(products.dtype).tiny)


def surgery(key: jax.Array, gradients: jax.Array) -> jax.Array:
    """Takes out of each task's gradient what would harm another task (PCGrad, Yu et al., 2020).

    Args:
      key: a typed PRNG key, for the order in which the others are looked at.
      gradients: [T, P].

    Returns:
      The sum [P] of the projected gradients. A gradient that conflicts with another's is projected
      onto the plane across that one, with all others in turn (algorithm 1).
    """
    tasks = len(gradients)
    squares = jnp.maximum((gradients**2).sum(-1), jnp.finfo(gradients.dtype).tiny)

    def project(own, order, gradient):
        for position in range(tasks):
            other = order[position]
            product = jnp.minimum(gradient @ gradients[other], 0.0)
            # Projected onto another plane, a gradient may seem to conflict with what it was.
            product = jnp.where(other == own, 0.0, product)
            gradient = gradient - product / squares[other] * gradients[other]
        return gradient

    orders = jax.vmap(lambda key: jax.random.permutation(key, tasks))(jax.random.split(key, tasks))
    return jax.vmap(project)(jnp.arange(tasks), orders, gradients).sum(0)


def spread(parameters: Any) -> jax.Array:
    """Returns how far the tasks' parameters are from their mean: the sum of squared differences.

    For two tasks it is half the squared distance of Duong et al., 2015, section 3.

    Args:
      parameters: pytree of arrays [T, ...].
    """

    def one(leaf):
        return ((leaf - leaf.mean(0)) ** 2).sum()

    return sum((one(leaf) for leaf in jax.tree.leaves(parameters)), jnp.zeros(()))
