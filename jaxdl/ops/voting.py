"""What several models say together.

Shapes: M models, B examples, A classes.
"""

import chex
import jax
import jax.numpy as jnp


def majority(labels: jax.Array, classes: int) -> jax.Array:
    """Returns the label that most models give, the smallest of those that equally many do.

    Args:
      labels: int [M, B].
      classes: A.

    Returns:
      int [B].

    >>> majority(jnp.array([[1], [0], [1]]), 2).tolist()  # the notes': two of three say 1
    [1]
    """
    chex.assert_rank(labels, 2)
    return jax.nn.one_hot(labels, classes).sum(0).argmax(-1)


def average(probabilities: jax.Array, weights: jax.Array | None = None) -> jax.Array:
    """Returns the weighted mean of probabilities.

    Args:
      probabilities: [M, B, A].
      weights: [M], not negative, not all 0; None for equal ones.

    Returns:
      [B, A].
    """
    chex.assert_rank(probabilities, 3)
    if weights is None:
        return probabilities.mean(0)
    chex.assert_shape(weights, probabilities.shape[:1])
    return jnp.tensordot(weights / weights.sum(), probabilities, 1)


def rank_weights(scores: jax.Array) -> jax.Array:
    """Returns the notes' weights of rank averaging: score over rank, with a sum of 1.

    Args:
      scores: [M], positive, of a validation, higher being better; models of the same score have
        the ranks of their order.

    >>> weights = rank_weights(jnp.array([0.8, 0.9, 0.6]))  # 0.8 / 2, 0.9 / 1 and 0.6 / 3 of 1.5
    >>> [round(float(weight), 4) for weight in weights]
    [0.2667, 0.6, 0.1333]
    """
    chex.assert_rank(scores, 1)
    rank = jnp.argsort(jnp.argsort(-scores, stable=True)) + 1
    weights = scores / rank
    return weights / weights.sum()


def disagreement(labels: jax.Array) -> jax.Array:
    """Returns the share of pairs of models that say different things, for each example.

    Args:
      labels: int [M, B], M at least 2.

    Returns:
      [B] in [0, 1].
    """
    chex.assert_rank(labels, 2)
    models = len(labels)
    different = labels[:, None] != labels[None]
    return different.sum((0, 1)) / (models * (models - 1))
