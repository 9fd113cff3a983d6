"""Siamese networks (Koch, Zemel and Salakhutdinov, 2015).

A network learns to say whether two images are of one class, from a weighted sum of how much their
features differ; a query then belongs to the class of the support image that is most surely of its
own.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import Siamese as Config
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    A logit is that of the pair's being of one class, the surest one of the class's support images;
    `verification` is the share of right answers to such questions.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 without its last layer.

    Raises:
      ValueError: when a setting is out of its range.
    """

    def init_head(key, features):
        del key
        dimensions = features.shape[-1]
        return {"weight": jnp.full(dimensions, dimensions**-0.5), "bias": jnp.ones(())}

    def compare(head, known, label, asked, way):
        apart = jnp.abs(asked[:, None] - known) @ head["weight"]  # [B, N*K]
        of_class = label == jnp.arange(way)[:, None]
        alike = jnp.where(of_class, head["bias"] - apart[:, None], -jnp.inf)
        surest = alike.argmax(-1, keepdims=True)
        return jnp.take_along_axis(alike, surest, -1)[..., 0]

    return metric_learner(
        network or Conv4(),
        compare,
        way=config.way,
        train_way=config.train_way,
        views=config.views,
        init_head=init_head,
        loss_fn=pair_loss,
        measures={"verification": verification},
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, train_way=examples.WAY), examples.FEATURES, examples.tasks()


def pair_loss(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the binary cross-entropy of pairs; those of one class count as much as the others.

    Args:
      logits: [B, N], that query b is of class n.
      label: int [B].
    """
    same = jax.nn.one_hot(label, logits.shape[-1])
    losses = optax.sigmoid_binary_cross_entropy(logits, same)
    return (
        0.5 * (losses * same).sum() / same.sum()
        + 0.5 * (losses * (1 - same)).sum() / (1 - same).sum()
    )


def verification(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the accuracy on as many pairs of one class as of two.

    Each query is paired with its own class and with the next one.
    """
    query = jnp.arange(len(label))
    other = (label + 1) % logits.shape[-1]
    return 0.5 * (logits[query, label] > 0).mean() + 0.5 * (logits[query, other] < 0).mean()
