"""ANIL, almost no inner loop (Raghu, Raghu, Bengio and Vinyals, 2020, arXiv 1909.09157).

MAML whose inner loop adapts the last layer alone: the features are the same for every task.
"""

from typing import Any

import flax.linen as nn

from jaxdl.methods.fewshot import examples, heads
from jaxdl.methods.fewshot.configs import ANIL as Config
from jaxdl.methods.fewshot.inner import gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, maker
from jaxdl.nn.fewshot import Conv4


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 without its last layer.

    Raises:
      ValueError: when a setting is out of its range.
    """
    kind = "group" if config.normalisation == "group" else "batch"
    network = network or Conv4(normalisation=kind)

    def init(key, images):
        features, variables = network.init_with_output(key, images)
        head = heads.undecided(features.shape[-1], config.way)
        return {"body": variables["params"], "head": head}

    def classifier(params, support, images, *, inductive):
        features = embed(network, params["body"], support["image"], images, inductive=inductive)
        return lambda head: heads.linear(head, features)

    return gradient_learner(
        config,
        init=init,
        start=lambda params, support: params["head"],
        classifier=classifier,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.FEATURES, examples.tasks()
