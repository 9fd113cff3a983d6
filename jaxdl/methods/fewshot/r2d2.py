"""R2-D2, ridge regression as the last layer (Bertinetto et al., 2019, arXiv 1805.08136).

The last layer of every task is the ridge regression of the one-hot labels on the support set's
features, in closed form, so that training goes through the best answer rather than a few steps to
it.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import R2D2 as Config
from jaxdl.methods.fewshot.learner import Learner, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.ridge import ridge


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 without its last layer.

    Raises:
      ValueError: when a setting is out of its range.
    """
    if not (config.penalty > 0 and config.scale > 0):
        raise ValueError(
            f"penalty and scale must be positive, got {config.penalty} and {config.scale}"
        )

    def init_head(key, features):
        del key, features
        return {"log_penalty": jnp.log(config.penalty), "log_scale": jnp.log(config.scale)}

    def compare(head, known, label, asked, way):
        # A constant feature, as the offset of the regression.
        known, asked = (jnp.pad(f, ((0, 0), (0, 1)), constant_values=1) for f in (known, asked))
        weights = ridge(known, jax.nn.one_hot(label, way), jnp.exp(head["log_penalty"]))
        return jnp.exp(head["log_scale"]) * (asked @ weights)

    return metric_learner(
        network or Conv4(),
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
