"""MAML++ (Antoniou, Edwards and Storkey, 2019, arXiv 1810.09502).

MAML with several changes that make it train steadily, each a switch of the config: a loss on the
queries after every inner step, a learned rate for every array and step, normalisation that is
scaled and offset by the number of steps taken and is not adapted, and first-order training at the
beginning. (The cosine schedule of the outer rate is the optimizer's.) The paper's running
statistics for every step are not here: its own code never normalises with them.

Shapes: S inner steps.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import MAMLPlusPlus as Config
from jaxdl.methods.fewshot.inner import check, follow
from jaxdl.methods.fewshot.learner import (
    Learner,
    accuracy,
    cross_entropy,
    embed,
    maker,
    outputs,
)
from jaxdl.nn.fewshot import Conv4


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `train`; its
        normalisation layers have "norm" in their names. None for the strided Conv4.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    if config.inner_steps < 1 or min(config.multi_step_iterations, config.first_order_until) < 0:
        raise ValueError(f"inner_steps must be positive and no setting negative, got {config}")
    kind = "group" if config.normalisation == "group" else "batch"
    network = network or Conv4(config.way, normalisation=kind)
    steps = config.inner_steps

    def init(key, images):
        arrays = flatten_dict(network.init(key, images)["params"], sep="/")
        fixed = {name: leaf for name, leaf in arrays.items() if "norm" in name.lower()}
        start = {name: leaf for name, leaf in arrays.items() if name not in fixed}
        times = steps + 1 if config.normalisation_per_step else 1
        params = {
            "start": start,
            "rates": {name: jnp.full(steps, config.inner_lr) for name in start},
            "normalisation": {
                name: jnp.broadcast_to(leaf, (times, *leaf.shape)) for name, leaf in fixed.items()
            },
        }
        return params, {"iteration": jnp.zeros((), jnp.int32)}

    def at(values, step):
        """Returns the entries of a step; of the last, beyond it."""
        return {name: v[jnp.minimum(step, v.shape[0] - 1)] for name, v in values.items()}

    def whole(params, adapted, step):
        return unflatten_dict(adapted | at(params["normalisation"], step), sep="/")

    def descend(params, adapted, step, support, second_order):
        def loss(adapted):
            logits = outputs(network, whole(params, adapted, step), support["image"])
            return cross_entropy(logits, support["label"])

        rates = at(params["rates"], step)
        if not config.learned_rates:
            rates = jax.lax.stop_gradient(rates)
        gradient = jax.grad(loss)(adapted)
        constant = jax.lax.stop_gradient(gradient)
        gradient = jax.tree.map(lambda g, c: c + second_order * (g - c), gradient, constant)
        return jax.tree.map(lambda p, g, rate: p - rate * g, adapted, gradient, rates)

    def loss(params, extra, key, task):
        del key
        support, query = task["support"], task["query"]
        second_order = (extra["iteration"] >= config.first_order_until).astype(jnp.float32)
        extra = {"iteration": extra["iteration"] + 1}

        def classify(adapted, step):
            inductive = config.normalisation == "support"
            logits = embed(
                network,
                whole(params, adapted, step),
                support["image"],
                query["image"],
                inductive=inductive,
            )
            return cross_entropy(logits, query["label"]), accuracy(logits, query["label"])

        def body(adapted, step):
            adapted = descend(params, adapted, step, support, second_order)
            measured = classify(adapted, step + 1) if config.multi_step_iterations else None
            return adapted, measured

        body = jax.checkpoint(body) if config.remat else body
        adapted, measured = jax.lax.scan(body, params["start"], jnp.arange(steps))
        if not config.multi_step_iterations:
            value, right = classify(adapted, steps)
            return value, (extra, {"accuracy": right})
        progress = (extra["iteration"] - 1) / config.multi_step_iterations
        losses, right = measured
        return step_weights(steps, progress) @ losses, (extra, {"accuracy": right[-1]})

    def predict(params, extra, support, images):
        del extra

        def classify(carry, inductive):
            adapted, step = carry
            network_params = whole(params, adapted, step)
            return embed(network, network_params, support["image"], images, inductive=inductive)

        def step(carry):
            adapted, step = carry
            return descend(params, adapted, step, support, 0.0), step + 1

        start = (params["start"], jnp.zeros((), jnp.int32))
        return follow(classify, step, start, config.eval_inner_steps)

    return Learner(init, loss, predict, tuple(range(config.eval_inner_steps + 1)))


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return Config(way=examples.WAY, eval_inner_steps=2), examples.LOGITS, examples.tasks()


def step_weights(steps: int, progress: jax.Array) -> jax.Array:
    """Returns what the query loss after each inner step counts, [S]; they add up to 1.

    Args:
      steps: S.
      progress: 0 or more; from 1 on, all but the last step count 0.03 / S.

    >>> [round(1000 * float(weight)) for weight in step_weights(5, 2.0)]
    [6, 6, 6, 6, 976]
    """
    others = jnp.maximum((1 - progress) / steps, 0.03 / steps)
    return jnp.full(steps, others).at[-1].set(1 - (steps - 1) * others)
