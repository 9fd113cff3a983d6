"""Proto-MAML (Triantafillou et al., 2020, arXiv 1903.03096, section 3.1).

MAML whose last layer starts every task as the classifier by prototypes; the meta-gradient goes
through that start as well.
"""

from typing import Any

import flax.linen as nn

from jaxdl.methods.fewshot import examples, heads
from jaxdl.methods.fewshot.configs import ProtoMAML as Config
from jaxdl.methods.fewshot.inner import gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, maker, outputs
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

    def start(body, support):
        features = outputs(network, body, support["image"])
        means = heads.class_means(features, support["label"], config.way)
        return {"body": body, "head": heads.nearest_mean(means)}

    def classifier(params, support, images, *, inductive):
        del params
        return lambda adapted: heads.linear(
            adapted["head"],
            embed(network, adapted["body"], support["image"], images, inductive=inductive),
        )

    return gradient_learner(
        config,
        init=lambda key, images: network.init(key, images)["params"],
        start=start,
        classifier=classifier,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.FEATURES, examples.tasks()
