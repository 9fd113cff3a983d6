"""Small images, by which every supervised method shows what it takes."""

from typing import Any

import jax
import jax.numpy as jnp

CLASSES = 3


def images(count: int = 16) -> dict[str, Any]:
    """Returns images 8 pixels wide whose brightness tells their classes."""
    label = jnp.arange(count, dtype=jnp.int32) % CLASSES
    noise = 0.3 * jax.random.uniform(jax.random.key(0), (count, 8, 8, 1))
    return {
        "image": noise + 0.3 * label[:, None, None, None],
        "label": label,
        "weight": jnp.ones(count),
    }
