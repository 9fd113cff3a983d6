"""Losses and regularisers of adversarial training.

Each is a function of logits, the discriminator's outputs before any sigmoid (a critic's values, for
Wasserstein's), or of the discriminator itself, and is not reduced.

Shapes: B batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

Discriminator = Callable[[jax.Array], jax.Array]


class Loss(NamedTuple):
    """An adversarial loss: three functions of logits [B], each giving losses [B]."""

    real: Callable[[jax.Array], jax.Array]
    """The discriminator's loss on real images."""
    fake: Callable[[jax.Array], jax.Array]
    """The discriminator's loss on generated images."""
    generator: Callable[[jax.Array], jax.Array]
    """The generator's loss on its images."""


def _negative(logits: jax.Array) -> jax.Array:
    return -logits


# Goodfellow et al., 2014, section 3: cross-entropy; the generator makes log D(G(z)) large.
NON_SATURATING = Loss(
    lambda logits: jax.nn.softplus(-logits),
    jax.nn.softplus,
    lambda logits: jax.nn.softplus(-logits),
)
# Lim and Ye, 2017; Miyato et al., 2018, equations 16 and 17.
HINGE = Loss(
    lambda logits: jax.nn.relu(1 - logits),
    lambda logits: jax.nn.relu(1 + logits),
    _negative,
)
# Mao et al., 2017, equation 9: b = c = 1, a = 0, of logits, with the paper's factor of one half.
LEAST_SQUARES = Loss(
    lambda logits: 0.5 * (logits - 1) ** 2,
    lambda logits: 0.5 * logits**2,
    lambda logits: 0.5 * (logits - 1) ** 2,
)
# Arjovsky et al., 2017, equations 2 and 3; a penalty must keep the critic's slope bounded.
WASSERSTEIN = Loss(_negative, lambda logits: logits, _negative)


def squared_slope(discriminator: Discriminator, images: jax.Array) -> jax.Array:
    """Returns the squared norm of the gradient of each image's logit by that image.

    Args:
      discriminator: `images [B, ...] -> logits [B]`. With normalisation by batch statistics a logit
        depends on the other images too, and this is the gradient of the sum of all logits.
      images: [B, ...], at least rank 2.

    Returns:
      [B]; the sum is over all pixels and channels.

    >>> weight = jnp.array([3.0, 4.0])
    >>> squared_slope(lambda x: x @ weight, jnp.zeros((1, 2))).tolist()
    [25.0]
    """
    gradient = jax.grad(lambda images: discriminator(images).sum())(images)
    chex.assert_equal_shape([gradient, images])
    return jnp.sum(gradient**2, range(1, images.ndim))


def gradient_penalty(discriminator: Discriminator, images: jax.Array) -> jax.Array:
    """Returns how far each slope is from 1, squared (Gulrajani et al., 2017, equation 3).

    Args:
      discriminator: see `squared_slope`.
      images: between real and generated ones for WGAN-GP, see `between`; around real ones for
        DRAGAN, see `around`.

    Returns:
      [B], to be weighted with 10.
    """
    # The root's own slope is infinite at 0.
    return (jnp.sqrt(squared_slope(discriminator, images) + 1e-12) - 1) ** 2


def r1(discriminator: Discriminator, real: jax.Array) -> jax.Array:
    """Returns half the squared slope at real images, [B] (Mescheder et al., 2018, equation 9)."""
    return 0.5 * squared_slope(discriminator, real)


def between(key: jax.Array, real: jax.Array, fake: jax.Array) -> jax.Array:
    """Returns a point between each real and generated image (Gulrajani et al., 2017, algorithm 1).

    Args:
      key: a typed PRNG key.
      real: [B, ...].
      fake: the same shape; one random share for each pair, the same for all its pixels.
    """
    chex.assert_equal_shape([real, fake])
    share = jax.random.uniform(key, (len(real),) + (1,) * (real.ndim - 1))
    return share * real + (1 - share) * fake


def around(key: jax.Array, real: jax.Array) -> jax.Array:
    """Returns real images [B, ...] with noise as strong as half their spread.

    That is the neighbourhood of DRAGAN (Kodali et al., 2017, algorithm 1 of the authors' code):
    uniform in [0, 1), times half the standard deviation of the whole batch.
    """
    return real + 0.5 * real.std() * jax.random.uniform(key, real.shape)
