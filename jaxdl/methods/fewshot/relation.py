"""Relation networks (Sung et al., 2018, arXiv 1711.06025).

A second network learns to say how alike a query's feature maps and those of a class are, which are
the mean over its support images. In the paper they are the sum, K times the mean with K shots; with
the mean, what was trained with one shot can be tested with five.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.methods.fewshot import examples, heads
from jaxdl.methods.fewshot.configs import Relation as Config
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import FeatureMaps, RelationScore


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to feature maps [B, H', W', D], at least 4 pixels wide and
        high, and takes `train`. None for the paper's.

    Raises:
      ValueError: when a setting is out of its range.
    """
    score = RelationScore()
    network = network or FeatureMaps()

    def init_head(key, features):
        return score.init(key, jnp.concatenate([features[:1], features[:1]], -1))["params"]

    def compare(head, known, label, asked, way):
        means = heads.class_means(known.reshape(len(known), -1), label, way)
        classes = means.reshape(way, *known.shape[1:])
        pairs = jnp.concatenate(
            [
                jnp.broadcast_to(part, (len(asked), way, *known.shape[1:]))
                for part in (classes[None], asked[:, None])
            ],
            -1,
        )
        scores = score.apply({"params": head}, pairs.reshape(-1, *pairs.shape[2:]))
        return scores.reshape(len(asked), way)

    def squared_error(logits, label):
        target = jax.nn.one_hot(label, logits.shape[-1])
        return ((jax.nn.sigmoid(logits) - target) ** 2).mean()

    return metric_learner(
        network,
        compare,
        way=config.way,
        train_way=config.train_way,
        views=config.views,
        init_head=init_head,
        loss_fn=squared_error,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, train_way=examples.WAY), examples.Maps(), examples.tasks()
