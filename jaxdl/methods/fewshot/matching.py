"""Matching networks (Vinyals et al., 2016, arXiv 1606.04080).

The label of a query is the mean of the support set's labels, weighted by a softmax over cosine
similarities of embeddings.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import Matching as Config
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4, FullContext
from jaxdl.ops.distances import cosine_similarity


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the pooled Conv4 of the paper.

    Raises:
      ValueError: when a setting is out of its range.
    """
    if not config.scale > 0 or config.attention_steps < 1:
        raise ValueError(f"scale and attention_steps must be positive, got {config}")
    context = FullContext(config.attention_steps)

    def init_head(key, features):
        if not config.full_context:
            return {}
        return context.init(key, features, features)["params"]

    def compare(head, known, label, asked, way):
        if config.full_context:
            known, asked = context.apply({"params": head}, known, asked)
        attention = jax.nn.softmax(config.scale * cosine_similarity(asked, known))
        # Far from 0, where the logarithm's gradient is not a number.
        return jnp.log(attention @ jax.nn.one_hot(label, way) + 1e-9)

    return metric_learner(
        network or Conv4(downsampling="pooled"),
        compare,
        way=config.way,
        train_way=config.train_way,
        views=config.views,
        init_head=init_head,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, train_way=examples.WAY), examples.FEATURES, examples.tasks()
