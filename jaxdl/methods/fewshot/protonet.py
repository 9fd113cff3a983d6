"""Prototypical networks (Snell, Swersky and Zemel, 2017, arXiv 1703.05175).

A class is the mean of its embedded support images; a query belongs to the nearest, in squared
Euclidean distance.
"""

from dataclasses import dataclass

import flax.linen as nn

from jaxdl.methods.fewshot import heads
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import Metric, metric_learner
from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.distances import squared_euclidean


@dataclass(frozen=True, kw_only=True)
class Config(Metric):
    """What defines prototypical networks; the defaults are the paper's for 5-way Omniglot."""

    train_way: int = 60
    """Classes in a training task."""


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the pooled Conv4 of the paper.

    Raises:
      ValueError: when a setting is out of its range.
    """

    def compare(head, known, label, asked, way):
        del head
        return -squared_euclidean(asked, heads.class_means(known, label, way))

    network = network or Conv4(downsampling="pooled")
    return metric_learner(
        network, compare, way=config.way, train_way=config.train_way, views=config.views
    )


make = maker(learner)
