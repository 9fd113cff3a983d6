"""BOIL, body only in the inner loop (Oh, Yoo, Kim and Yun, 2021, arXiv 2008.08882).

MAML whose inner loop adapts everything but the last layer: the features change with every task, the
classifier that reads them does not.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import optax

from jaxdl.methods.fewshot import heads
from jaxdl.methods.fewshot.inner import Normalisation, gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, make_method
from jaxdl.nn.fewshot import Conv4
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines BOIL; the inner rate is the paper's, on a mean loss."""

    way: int = 5
    """Classes in a task (N)."""
    inner_lr: float = 0.5
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

    def init(key, images):
        body_key, head_key = jax.random.split(key)
        features, variables = network.init_with_output(body_key, images)
        head = heads.random(head_key, features.shape[-1], config.way)
        return {"body": variables["params"], "head": head}

    def classifier(params, support, images, *, inductive):
        return lambda body: heads.linear(
            params["head"], embed(network, body, support["image"], images, inductive=inductive)
        )

    return gradient_learner(
        config,
        init=init,
        start=lambda params, support: params["body"],
        classifier=classifier,
    )
