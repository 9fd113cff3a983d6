"""iMAML, implicit gradients (Rajeswaran, Finn, Kakade and Levine, 2019, arXiv 1909.04630).

The inner loop minimises the support loss plus a pull towards the initialisation. At that minimum
the meta-gradient follows from the curvature alone, by a few steps of conjugate gradients: neither
the length of the inner loop nor its memory enters.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax.scipy.sparse.linalg import cg

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import IMAML as Config
from jaxdl.methods.fewshot.inner import Loss, check, follow
from jaxdl.methods.fewshot.learner import (
    Learner,
    accuracy,
    cross_entropy,
    embed,
    maker,
    outputs,
)
from jaxdl.nn.fewshot import Conv4
from jaxdl.train.step import with_gradient


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    if config.inner_steps < 1 or config.cg_steps < 1 or not config.pull > 0 or config.damping < 0:
        raise ValueError(f"steps, pull and damping must be positive, got {config}")
    kind = "group" if config.normalisation == "group" else "batch"
    network = network or Conv4(config.way, normalisation=kind)

    def support_loss(params, support):
        return cross_entropy(outputs(network, params, support["image"]), support["label"])

    def loss(params, extra, key, task):
        del key
        support, query = task["support"], task["query"]
        start = jax.lax.stop_gradient(params)
        step = proximal_step(support_loss, start, support, pull=config.pull, lr=config.inner_lr)
        adapted, _ = jax.lax.scan(
            lambda params, _: (step(params), None), start, None, length=config.inner_steps
        )

        def query_loss(adapted):
            inductive = config.normalisation == "support"
            logits = embed(network, adapted, support["image"], query["image"], inductive=inductive)
            return cross_entropy(logits, query["label"]), accuracy(logits, query["label"])

        (value, right), gradient = jax.value_and_grad(query_loss, has_aux=True)(adapted)
        gradient = implicit_gradient(
            support_loss,
            adapted,
            support,
            gradient,
            pull=config.pull + config.damping,
            cg_steps=config.cg_steps,
        )
        return with_gradient(value, params, gradient), (extra, {"accuracy": right})

    def predict(params, extra, support, images):
        del extra
        return follow(
            lambda adapted, inductive: embed(
                network, adapted, support["image"], images, inductive=inductive
            ),
            proximal_step(support_loss, params, support, pull=config.pull, lr=config.inner_lr),
            params,
            config.eval_inner_steps,
        )

    def init(key, images):
        return network.init(key, images)["params"], ()

    return Learner(init, loss, predict, tuple(range(config.eval_inner_steps + 1)))


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.LOGITS, examples.tasks()


def proximal_step(
    loss_fn: Loss, start: Any, support: Any, *, pull: float, lr: float
) -> Callable[[Any], Any]:
    """Makes one gradient step on `loss_fn(p, support) + pull / 2 |p - start|^2` (equation 3)."""

    def step(params):
        gradient = jax.grad(loss_fn)(params, support)
        return jax.tree.map(lambda p, g, s: p - lr * (g + pull * (p - s)), params, gradient, start)

    return step


def implicit_gradient(
    loss_fn: Loss, adapted: Any, support: Any, gradient: Any, *, pull: float, cg_steps: int
) -> Any:
    """Returns `(I + H / pull)^-1 gradient`, H the Hessian of the support loss (equation 6).

    Args:
      loss_fn: `(params, support) -> scalar`.
      adapted: where the inner loop ended, its minimum.
      support: whatever `loss_fn` wants.
      gradient: of the query loss at `adapted`.
      pull: lambda.
      cg_steps: of conjugate gradients, from `gradient` on.
    """

    def times(vector):
        curvature = jax.jvp(lambda p: jax.grad(loss_fn)(p, support), (adapted,), (vector,))[1]
        return jax.tree.map(lambda v, c: v + c / pull, vector, curvature)

    return cg(times, gradient, x0=gradient, tol=0.0, maxiter=cg_steps)[0]
