"""Small images and networks, by which the methods of this family show what they take.

Under `pmap` a device draws latent vectors for itself, and sees its own part of a batch. So that one
device is like several, the generator makes nothing of its latent vector, and the statistics of a
batch are taken over the mapped axis.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

CLASSES = 3
LATENT = 5


def batch(size: int = 16) -> dict[str, Any]:
    """Returns blots of 8 x 8 pixels in [-1, 1], labels, latent vectors and weights."""
    image_key, latent_key = jax.random.split(jax.random.key(0))
    return {
        "image": jax.random.uniform(image_key, (size, 8, 8, 1), minval=-1, maxval=1),
        "label": jnp.arange(size) % CLASSES,
        "latent": jax.random.normal(latent_key, (size, LATENT)),
        "weight": jnp.ones(size),
    }


class Normalised(nn.Module):
    """Two dense layers; the first is normalised with the statistics of all devices' images."""

    outputs: int
    """Units of the second layer (D)."""
    axis_name: str | None = None
    """Of the devices."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, ...] to [B, D]."""
        hidden = nn.Dense(6)(images.reshape(len(images), -1))
        normalise = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name)
        return nn.Dense(self.outputs)(nn.relu(normalise(hidden)))


class Images(nn.Module):
    """Images of a vector."""

    @nn.compact
    def __call__(self, vector: jax.Array) -> jax.Array:
        """Maps [B, Z] to [B, 8, 8, 1]."""
        return jnp.tanh(nn.Dense(64)(vector)).reshape(-1, 8, 8, 1)


class Generator(nn.Module):
    """Images of a label, whatever the latent vector is."""

    @nn.compact
    def __call__(self, latent: jax.Array, label: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps latents [B, Z] and labels [B] to images."""
        del latent, train
        return Images()(jax.nn.one_hot(label, CLASSES))


class Discriminator(nn.Module):
    """Logits of images, whatever the label is."""

    axis_name: str | None = None
    """Of the devices."""

    @nn.compact
    def __call__(self, images: jax.Array, label: Any = None, *, train: bool = False) -> jax.Array:
        """Maps images to logits [B]."""
        del label
        return Normalised(1, self.axis_name)(images, train=train)[:, 0]


class Autoencoder(nn.Module):
    """A vector of an image, and an image of that."""

    axis_name: str | None = None
    """Of the devices."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps images to their reconstructions and latents [B, 4]."""
        latent = Normalised(4, self.axis_name)(images, train=train)
        return Images()(latent), latent


class TwiceEncoded(nn.Module):
    """GANomaly's generator."""

    axis_name: str | None = None
    """Of the devices."""

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Maps images to reconstructions, the latents of these [B, 4], and the images' own."""
        made, latent = Autoencoder(self.axis_name)(images, train=train)
        return made, nn.Dense(4)(made.reshape(len(made), -1)), latent


class Judge(nn.Module):
    """GANomaly's discriminator."""

    axis_name: str | None = None
    """Of the devices."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps images to logits [B, 1] and features [B, 4]."""
        features = Normalised(4, self.axis_name)(images, train=train)
        return features[:, :1], features
