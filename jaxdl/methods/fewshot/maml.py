"""Model-agnostic meta-learning (Finn, Abbeel and Levine, 2017, arXiv 1703.03400).

An initialisation is learned from which a few gradient steps on a task's support set give a good
classifier for its queries; the meta-gradient goes through those steps, or, in the first-order
variant (FOMAML), takes them as constants.
"""

from dataclasses import dataclass

import flax.linen as nn

from jaxdl.methods.fewshot.inner import Differentiated, gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, maker
from jaxdl.nn.fewshot import Conv4


@dataclass(frozen=True, kw_only=True)
class Config(Differentiated):
    """What defines MAML, or FOMAML (`first_order`): the paper's settings for 5-way Omniglot.

    The authors' code takes the sum over the N classes as the inner loss, which is the same as N
    times this rate.
    """


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `use_running_average`; see
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
