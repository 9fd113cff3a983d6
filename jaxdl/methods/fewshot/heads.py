"""Last layers: from the features of a network to logits.

Shapes: N ways, K shots, B images, D features. A linear head is
`{"kernel": [D, N], "bias": [N]}`.
"""

import jax
import jax.numpy as jnp

Head = dict[str, jax.Array]


def linear(head: Head, features: jax.Array) -> jax.Array:
    """Returns the logits [B, N] of features [B, D]."""
    return features @ head["kernel"] + head["bias"]


def undecided(dimensions: int, way: int) -> Head:
    """Returns the linear head that gives every class the logit 0; see `jaxdl.nn.fewshot`."""
    return {"kernel": jnp.zeros((dimensions, way)), "bias": jnp.zeros(way)}


def random(key: jax.Array, dimensions: int, way: int) -> Head:
    """Returns the linear head that a dense layer usually starts with (LeCun normal)."""
    kernel = jax.nn.initializers.lecun_normal()(key, (dimensions, way))
    return {"kernel": kernel, "bias": jnp.zeros(way)}


def class_means(features: jax.Array, label: jax.Array, way: int) -> jax.Array:
    """Returns the mean feature of each class, its prototype (Snell et al., 2017, equation 1).

    Args:
      features: [N*K, D].
      label: int [N*K], in any order.
      way: N.

    Returns:
      [N, D]; 0 for a class that is not there.

    >>> class_means(jnp.array([[1.0], [5.0], [3.0]]), jnp.array([0, 1, 0]), 3).tolist()
    [[2.0], [5.0], [0.0]]
    """
    member = jax.nn.one_hot(label, way, dtype=features.dtype)
    return member.T @ features / jnp.maximum(member.sum(0), 1)[:, None]


def nearest_mean(means: jax.Array) -> Head:
    """Returns the linear head whose logits differ as minus the squared distances to the means.

    `-|x - c|^2 = 2 c.x - |c|^2 - |x|^2`, and the last term is the same for every class
    (Triantafillou et al., 2020, section 3.1).

    Args:
      means: [N, D].
    """
    return {"kernel": 2 * means.T, "bias": -jnp.sum(means**2, -1)}
