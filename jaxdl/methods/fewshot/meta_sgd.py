"""Meta-SGD (Li, Zhou, Chen and Li, 2017, arXiv 1707.09835).

MAML that learns the rate of every single parameter's inner step, its sign included, together with
the initialisation.
"""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot.inner import Normalisation, gradient_learner
from jaxdl.methods.fewshot.learner import Learner, embed, make_method
from jaxdl.nn.fewshot import Conv4
from jaxdl.train.state import Method


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines Meta-SGD; the defaults are MAML's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task (N)."""
    inner_lr: float = 0.4
    """Every parameter's learning rate in the inner loop, on a mean loss, before training."""
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
      network: maps images [B, H, W, C] to logits [B, N] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4.
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
