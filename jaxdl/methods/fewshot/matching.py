"""Matching networks (Vinyals et al., 2016, arXiv 1606.04080).

The label of a query is the mean of the support set's labels, weighted by a softmax over cosine
similarities of embeddings.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot.learner import Learner, make_method
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4, FullContext
from jaxdl.ops.distances import cosine_similarity
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines matching networks."""

    way: int = 5
    """Classes in a task to be predicted (N)."""
    train_way: int = 20
    """Classes in a training task."""
    scale: float = 10.0
    """Of the similarities in the softmax; the paper's 1 leaves it almost flat."""
    full_context: bool = False
    """Embed the support set and the queries with regard to one another (FCE)."""
    attention_steps: int = 5
    """Rounds of attention with full context."""
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
        init_head=init_head,
    )
