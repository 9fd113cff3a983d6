"""Proto-MAML (Triantafillou et al., 2020, arXiv 1903.03096, section 3.1).

MAML whose last layer starts every task as the classifier by prototypes; the meta-gradient goes
through that start as well.
"""

from dataclasses import dataclass

import flax.linen as nn
import optax

from jaxdl.methods.fewshot import heads
from jaxdl.methods.fewshot.inner import Normalisation, gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, make_method, outputs
from jaxdl.nn.fewshot import Conv4
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines Proto-MAML; the defaults are MAML's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task (N)."""
    inner_lr: float = 0.4
    """Learning rate of the inner loop, on a mean loss."""
    inner_steps: int = 1
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 10
    """Inner gradient steps in evaluation; the accuracy is measured after each of them."""
    first_order: bool = False
    """Treat the inner gradient as a constant."""
    normalisation: Normalisation = "transductive"
    """How queries are normalised in training, see `jaxdl.methods.fewshot.maml.Config`."""
    remat: bool = True
    """Recompute an inner step's activations in the backward pass when there are several steps."""
    tasks_at_once: int = 0
    """See `jaxdl.methods.fewshot.learner.make_method`."""


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the meta-training and evaluation steps; see `learner.make_method`.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 without its last layer.
      optimizer: of the outer loop. None for Adam at 1e-3.
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
