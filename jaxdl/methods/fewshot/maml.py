"""Model-agnostic meta-learning (Finn, Abbeel and Levine, 2017, arXiv 1703.03400).

An initialisation is learned from which a few gradient steps on a task's support set give a good
classifier for its queries; the meta-gradient goes through those steps, or, in the first-order
variant (FOMAML), takes them as constants.
"""

from dataclasses import dataclass

import flax.linen as nn
import optax

from jaxdl.methods.fewshot.inner import Normalisation, gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, make_method
from jaxdl.nn.fewshot import Conv4
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines MAML; the defaults are the paper's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task (N)."""
    inner_lr: float = 0.4
    """Learning rate of the inner loop, whose loss is a mean over the support set. (The authors'
    code takes the sum over the N classes, which is the same as N times this rate.)"""
    inner_steps: int = 1
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 10
    """Inner gradient steps in evaluation; the accuracy is measured after each of them."""
    first_order: bool = False
    """Treat the inner gradient as a constant (FOMAML)."""
    normalisation: Normalisation = "transductive"
    """How queries are normalised in training: with the statistics of all the queries of the task
    (transductive, as published), with those of the support set, which is inductive, or each image
    by itself (group)."""
    remat: bool = True
    """Recompute an inner step's activations in the backward pass when there are several steps, for
    a third of the memory."""
    tasks_at_once: int = 0
    """Tasks that a device works on at the same time; 0 for what is fastest: one on a CPU, whose
    cache holds little more, and all of them elsewhere."""


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
      network: maps images [B, H, W, C] to logits [B, N] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 of the paper.
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
