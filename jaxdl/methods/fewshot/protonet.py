"""Prototypical networks (Snell, Swersky and Zemel, 2017, arXiv 1703.05175).

A class is the mean of its embedded support images; a query belongs to the nearest, in squared
Euclidean distance. Training can also compare all the images of a task with each other, which Laenen
and Bertinetto (2021, arXiv 2012.09831) found to use them better.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.methods.fewshot import examples, heads
from jaxdl.methods.fewshot.configs import ProtoNet as Config
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.distances import squared_euclidean


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the pooled Conv4 of the paper.

    Raises:
      ValueError: when a setting is out of its range.
    """

    def compare(head, known, label, asked, way):
        del head
        return -squared_euclidean(asked, heads.class_means(known, label, way))

    def classify(head, features, task, label):
        del head, task
        logits = pair_logits(features, label, config.train_way)
        return logits, jnp.zeros(len(logits), jnp.int32)

    return metric_learner(
        network or Conv4(downsampling="pooled"),
        compare,
        way=config.way,
        train_way=config.train_way,
        views=config.views,
        classify=classify if config.comparisons == "pairs" else None,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, train_way=examples.WAY), examples.FEATURES, examples.tasks()


def pair_logits(features: jax.Array, label: jax.Array, way: int) -> jax.Array:
    """Returns the one-shot tasks within a batch: for each pair of a class, all other classes.

    With M images per class, each of them is a query that has each of the M - 1 others as the only
    support of its class, against all the images of the other classes. Unlike in neighbourhood
    components analysis, where a near one of its class is enough, it must be near to every one.

    Args:
      features: [N*M, D].
      label: int [N*M], each of 0 to N-1 M times, in any order.
      way: N.

    Returns:
      [N*M*(M-1), 1 + (N-1)*M], minus the squared Euclidean distance: first within the pair.
    """
    images = len(features)
    # A matrix product is far faster than differences; of centred features it loses little.
    grouped = (features - jax.lax.stop_gradient(features.mean(0)))[jnp.argsort(label)]
    lengths = (grouped**2).sum(-1)
    product = jnp.matmul(grouped, grouped.T, precision="highest")
    similarity = 2 * product - lengths[:, None] - lengths
    group = np.arange(images) // (images // way)
    same = group[:, None] == group
    alike = similarity[same & ~np.eye(images, dtype=bool)].reshape(images, -1)
    apart = similarity[~same].reshape(images, -1)
    apart = jnp.repeat(apart, alike.shape[1], axis=0)
    return jnp.concatenate([alike.reshape(-1, 1), apart], -1)
