"""Small tasks and networks, by which every few-shot method shows what it takes."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.nn.fewshot import MLP

WAY = 3
LOGITS = MLP(WAY, features=(32,))
FEATURES = MLP(features=(32,))


class Maps(nn.Module):
    """Feature maps, [B, 4, 4, 2]."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, ...] to [B, 4, 4, 2]."""
        return MLP(features=(32,))(images, train=train).reshape(-1, 4, 4, 2)


def tasks(count: int = 8, *, way: int = WAY, shot: int = 2, queries: int = 3) -> dict[str, Any]:
    """Returns tasks of images 6 pixels wide whose classes share a pattern; see `learner`."""
    pattern_key, noise_key = jax.random.split(jax.random.key(0))
    pattern = jax.random.uniform(pattern_key, (count, way, 1, 6, 6, 1))
    shape = (count, way, shot + queries, 6, 6, 1)
    images = pattern + 0.3 * jax.random.normal(noise_key, shape)

    def part(images):
        label = jnp.broadcast_to(jnp.arange(way, dtype=jnp.int32)[:, None], images.shape[:3])
        return {
            "image": images.reshape(count, -1, 6, 6, 1),
            "label": label.reshape(count, -1),
        }

    return {
        "support": part(images[:, :, :shot]),
        "query": part(images[:, :, shot:]),
        "class": jnp.tile(jnp.arange(way), (count, 1)),
        "rotation": jnp.zeros((count, way), jnp.int32),
        "weight": jnp.ones(count),
    }
