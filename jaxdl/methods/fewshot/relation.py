"""Relation networks (Sung et al., 2018, arXiv 1711.06025).

A second network learns to say how alike a query's feature maps and those of a class are, which are
the sum over its support images.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot.learner import Learner, make_method
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import FeatureMaps, RelationScore
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines relation networks; the defaults are the paper's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task to be predicted (N)."""
    train_way: int = 5
    """Classes in a training task."""
    tasks_at_once: int = 0
    """See `jaxdl.methods.fewshot.learner.make_method`."""


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps; see `learner.make_method`.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to feature maps [B, H', W', D], at least 4 pixels wide and
        high, and takes `use_running_average`. None for the paper's.
      optimizer: None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Raises:
      ValueError: when a setting is out of its range.
    """
    return make_method(
        learner(config, network=network),
        optimizer or optax.adam(1e-3),
        axis_name=axis_name,
        tasks_at_once=config.tasks_at_once,
    )


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task; the arguments are those of `make`."""
    score = RelationScore()
    network = network or FeatureMaps()

    def init_head(key, features):
        return score.init(key, jnp.concatenate([features[:1], features[:1]], -1))["params"]

    def compare(head, known, label, asked, way):
        classes = jnp.tensordot(jax.nn.one_hot(label, way).T, known, 1)
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
        init_head=init_head,
        loss_fn=squared_error,
    )
