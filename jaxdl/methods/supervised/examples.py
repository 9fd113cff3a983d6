"""Small images and networks, by which every supervised method shows what it takes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

CLASSES = 3


class Normalised(nn.Module):
    """Two dense layers; the first is normalised with the statistics of all devices' images."""

    axis_name: str | None = None
    """The mapped axis of those devices."""
    outputs: int = CLASSES
    """Of the second layer."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, ...] to [B, outputs]."""
        hidden = nn.Dense(6)(images.reshape(len(images), -1))
        normalise = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name)
        return nn.Dense(self.outputs)(nn.relu(normalise(hidden)))


def images(count: int = 16) -> dict[str, Any]:
    """Returns images 8 pixels wide whose brightness tells their classes."""
    label = jnp.arange(count, dtype=jnp.int32) % CLASSES
    noise = 0.3 * jax.random.uniform(jax.random.key(0), (count, 8, 8, 1))
    return {
        "image": noise + 0.3 * label[:, None, None, None],
        "label": label,
        "weight": jnp.ones(count),
    }
