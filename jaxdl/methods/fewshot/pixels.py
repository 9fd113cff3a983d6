"""Classifiers of raw pixels, which learn nothing before a task: what every method has to beat.

Each maps a support set, `{"image": [N*K, H, W, C], "label": [N*K]}`, and images [B, H, W, C] to
logits [B, N]; those of an image depend on no other image.

Shapes: N ways, K shots, B images, H W C image.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxdl.ops.distances import ink_points, modified_hausdorff, squared_euclidean
from jaxdl.ops.ridge import ridge


def nearest_neighbour(support: Any, images: jax.Array, way: int) -> jax.Array:
    """Prefers the class of the support image that differs least in its pixels (Euclidean)."""
    known, asked = (part.reshape(len(part), -1) for part in (support["image"], images))
    return _nearest(squared_euclidean(asked, known), support["label"], way)


def hausdorff(support: Any, images: jax.Array, way: int, capacity: int | None = None) -> jax.Array:
    """Prefers the class of the support image at the least modified Hausdorff distance.

    Of the inked pixels, those above 0.5, taken around their mean; the baseline of Lake et al.
    (2015). `capacity` is at least the number of them in any image; None for half of the pixels.
    """

    def points(image):
        ink = image.max(-1) > 0.5
        return ink_points(ink, capacity or ink.size // 2)

    known, asked = jax.vmap(points)(support["image"]), jax.vmap(points)(images)

    def to_all(query):  # one query at a time: the distances of all points fill the memory
        def to(reference):
            return modified_hausdorff(query[0], reference[0], query[1], reference[1])

        return jax.lax.map(to, known)

    return _nearest(jax.lax.map(to_all, asked), support["label"], way)


def linear(support: Any, images: jax.Array, way: int, penalty: float = 1.0) -> jax.Array:
    """Fits a linear classifier to the support set's pixels: ridge regression of one-hot labels."""
    known, asked = (part.reshape(len(part), -1) for part in (support["image"], images))
    return asked @ ridge(known, jax.nn.one_hot(support["label"], way), penalty)


def _nearest(distances: jax.Array, label: jax.Array, way: int) -> jax.Array:
    """Returns minus the least distance to each class, [B, N], of distances [B, N*K]."""
    member = label == jnp.arange(way)[:, None]
    return -jnp.where(member, distances[:, None], jnp.inf).min(-1)
