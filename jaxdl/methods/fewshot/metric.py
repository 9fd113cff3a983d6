"""Learners without an inner loop: features, and a comparison of queries with the support set.

Shapes: N ways, K shots, B queries, D features.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.methods.fewshot.learner import MODES, Learner, accuracy, cross_entropy
from jaxdl.nn.norm import own_statistics
from jaxdl.ops.augmentation import random_affine

# Share of the running normalisation statistics that a training step keeps.
MOMENTUM = 0.9


def metric_learner(
    network: nn.Module,
    compare: Callable[..., jax.Array],
    *,
    way: int,
    train_way: int,
    init_head: Callable[[jax.Array, jax.Array], Any] = lambda key, features: {},
    loss_fn: Callable[[jax.Array, jax.Array], jax.Array] = cross_entropy,
    classify: Callable[..., tuple[jax.Array, jax.Array]] | None = None,
    measures: Mapping[str, Callable[[jax.Array, jax.Array], jax.Array]] = MappingProxyType({}),
    views: int = 0,
) -> Learner:
    """Makes the learner that embeds an episode and compares.

    In training, an episode is normalised as a whole, and running statistics are kept in `extra`.
    Transductive predictions are made in the same way; inductive ones use the running statistics, so
    that they depend on no other image.

    Args:
      network: maps images [B, H, W, C] to features [B, ...] and takes `train`.
      compare: `(head, support_features, support_label, features, way) -> logits [B, way]`.
      way: N of the tasks to be predicted.
      train_way: N of the training tasks.
      init_head: `(key, features [B, ...]) -> head`, the parameters of the comparison.
      loss_fn: `(logits [B, N], label [B]) -> scalar`.
      classify: `(head, features, task, label) -> (logits, label)`, what training does with all the
        images of a task, in place of comparing its queries with its support set.
      measures: see `Learner`.
      views: distorted copies of an image whose features are averaged with its own in a prediction;
        all images are distorted alike, see `jaxdl.ops.augmentation.random_affine`.

    Raises:
      ValueError: when there are fewer than two classes, or `views` is negative.
    """
    if way < 2 or train_way < 2:
        raise ValueError(f"way must be at least 2, got {way}, and {train_way} in training")
    if views < 0:
        raise ValueError(f"views must be 0 or more, got {views}")

    def features(params, images):
        with own_statistics():
            out, seen = network.apply(
                {"params": params["body"]}, images, train=True, mutable=["batch_stats"]
            )
        return out, seen.get("batch_stats", {})

    def init(key, images):
        body_key, head_key = jax.random.split(key)
        out, variables = network.init_with_output(body_key, images)
        params = {"body": variables.get("params", {}), "head": init_head(head_key, out)}
        return params, variables.get("batch_stats", {})

    def loss(params, extra, key, task):
        del key
        support, query = task["support"], task["query"]
        together, seen = features(params, jnp.concatenate([support["image"], query["image"]]))
        if classify is None:
            known, asked = jnp.split(together, [len(support["image"])])
            logits = compare(params["head"], known, support["label"], asked, train_way)
            label = query["label"]
        else:
            label = jnp.concatenate([support["label"], query["label"]])
            logits, label = classify(params["head"], together, task, label)
        extra = jax.tree.map(lambda old, new: MOMENTUM * old + (1 - MOMENTUM) * new, extra, seen)
        return loss_fn(logits, label), (extra, {"accuracy": accuracy(logits, label)})

    def predict(params, extra, support, images):
        together = jnp.concatenate([support["image"], images])
        stored = {"params": params["body"], "batch_stats": extra}

        def embed(images):
            return {
                "transductive": features(params, images)[0],
                "inductive": network.apply(stored, images),
            }

        def add(total, key):
            # One key for all images: what an image's features are must not depend on its place.
            distorted = jax.vmap(random_affine, (None, 0))(key, together)
            return jax.tree.map(jnp.add, total, embed(distorted)), None

        embedded = embed(together)
        if views:
            total, _ = jax.lax.scan(add, embedded, jax.random.split(jax.random.key(0), views))
            embedded = jax.tree.map(lambda features: features / (views + 1), total)
        logits = {}
        for mode in MODES:
            known, asked = jnp.split(embedded[mode], [len(support["image"])])
            logits[mode] = compare(params["head"], known, support["label"], asked, way)[None]
        return logits

    return Learner(init, loss, predict, measures=measures)
