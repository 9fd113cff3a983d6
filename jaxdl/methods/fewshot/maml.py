"""Model-agnostic meta-learning (Finn, Abbeel and Levine, 2017, arXiv 1703.03400).

An initialisation is learned from which a few gradient steps on a task's support set give a good
classifier for its queries; the meta-gradient goes through those steps, or, in the first-order
variant (FOMAML), takes them as constants.
"""

from typing import Any

import flax.linen as nn

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import MAML as Config
from jaxdl.methods.fewshot.inner import gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, maker
from jaxdl.nn.fewshot import Conv4


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 of the paper.

    Raises:
      ValueError: when a setting is out of its range.
    """
    kind = "group" if config.normalisation == "group" else "batch"
    network = network or Conv4(config.way, normalisation=kind)

    def classifier(params, support, images, *, inductive):
        del params
        return lambda adapted: embed(
            network, adapted, support["image"], images, inductive=inductive
        )

    return gradient_learner(
        config,
        init=lambda key, images: network.init(key, images)["params"],
        start=lambda params, support: params,
        classifier=classifier,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.LOGITS, examples.tasks()
