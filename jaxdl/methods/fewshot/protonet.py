"""Prototypical networks (Snell, Swersky and Zemel, 2017, arXiv 1703.05175).

A class is the mean of its embedded support images; a query belongs to the nearest, in squared
Euclidean distance.
"""

from dataclasses import dataclass

import flax.linen as nn
import optax

from jaxdl.methods.fewshot import heads
from jaxdl.methods.fewshot.learner import Learner, make_method
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.distances import squared_euclidean
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines prototypical networks; the defaults are the paper's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task to be predicted (N)."""
    train_way: int = 60
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
      network: maps images [B, H, W, C] to features [B, D] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the pooled Conv4 of the paper.
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

    def compare(head, known, label, asked, way):
        del head
        return -squared_euclidean(asked, heads.class_means(known, label, way))

    network = network or Conv4(downsampling="pooled")
    return metric_learner(network, compare, way=config.way, train_way=config.train_way)
