"""Meta-SGD (Li, Zhou, Chen and Li, 2017, arXiv 1707.09835).

MAML that learns the rate of every single parameter's inner step, its sign included, together with
the initialisation.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import MetaSGD as Config
from jaxdl.methods.fewshot.inner import gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, maker
from jaxdl.nn.fewshot import Conv4


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4.

    Raises:
      ValueError: when a setting is out of its range.
    """
    kind = "group" if config.normalisation == "group" else "batch"
    network = network or Conv4(config.way, normalisation=kind)

    def init(key, images):
        params = network.init(key, images)["params"]
        rates = jax.tree.map(lambda leaf: jnp.full_like(leaf, config.inner_lr), params)
        return {"start": params, "rates": rates}

    def classifier(params, support, images, *, inductive):
        del params
        return lambda adapted: embed(
            network, adapted, support["image"], images, inductive=inductive
        )

    return gradient_learner(
        config,
        init=init,
        start=lambda params, support: params["start"],
        classifier=classifier,
        rate=lambda params: params["rates"],
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.LOGITS, examples.tasks()
