"""Reptile (Nichol, Achiam and Schulman, 2018, arXiv 1803.02999).

A task is trained on as a classifier would be, by a few steps of Adam on small batches, and the
initialisation is moved towards where that led: no meta-gradient, no queries.

Shapes: N ways, n images of a task, B images, S inner steps, P images in an inner step.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot import examples
from jaxdl.methods.fewshot.configs import Reptile as Config
from jaxdl.methods.fewshot.learner import (
    MODES,
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
    if config.way < 2 or config.inner_steps < 1 or config.eval_inner_steps < 1:
        raise ValueError(f"way must be at least 2 and inner steps 1 or more, got {config}")
    if min(config.inner_batch, config.eval_inner_batch) < 1 or not config.inner_lr > 0:
        raise ValueError(f"inner batches and the inner rate must be positive, got {config}")
    network = network or Conv4(config.way)
    inner = optax.adam(config.inner_lr, b1=0.0)

    def train(params, moments, key, data, steps, size):
        """Returns parameters and Adam's moments after the inner loop, and its mean metrics."""

        def loss(params, batch):
            logits = outputs(network, params, batch["image"])
            return cross_entropy(logits, batch["label"]), accuracy(logits, batch["label"])

        def step(carry, index):
            params, moments = carry
            batch = jax.tree.map(lambda leaf: leaf[index], data)
            (value, right), gradient = jax.value_and_grad(loss, has_aux=True)(params, batch)
            update, moments = inner.update(gradient, moments)
            return (optax.apply_updates(params, update), moments), (value, right)

        order = minibatches(key, len(data["label"]), steps, size)
        (params, moments), metrics = jax.lax.scan(step, (params, moments), order)
        return params, moments, jax.tree.map(jnp.mean, metrics)

    def init(key, images):
        params = network.init(key, images)["params"]
        return params, inner.init(params)

    def loss(params, extra, key, task):
        data = jax.tree.map(lambda *parts: jnp.concatenate(parts), task["support"], task["query"])
        adapted, extra, (value, right) = train(
            jax.lax.stop_gradient(params), extra, key, data, config.inner_steps, config.inner_batch
        )
        back = jax.tree.map(jnp.subtract, params, adapted)
        return with_gradient(value, params, back), (extra, {"accuracy": right})

    def predict(params, extra, support, images):
        # The key is always the same, so that a prediction can be repeated.
        adapted, _, _ = train(
            params,
            extra,
            jax.random.key(0),
            support,
            config.eval_inner_steps,
            min(config.eval_inner_batch, len(support["label"])),
        )
        return {
            mode: jnp.stack(
                [
                    embed(network, p, support["image"], images, inductive=mode == "inductive")
                    for p in (params, adapted)
                ]
            )
            for mode in MODES
        }

    return Learner(init, loss, predict, (0, config.eval_inner_steps))


make = maker(learner, optax.sgd(1.0))


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return (
        Config(way=examples.WAY, inner_batch=5, eval_inner_steps=2),
        examples.LOGITS,
        examples.tasks(),
    )


def minibatches(key: jax.Array, examples: int, steps: int, size: int) -> jax.Array:
    """Returns which examples every step takes, int32 [steps, size].

    All of them are taken once, in a random order, before any is taken again.
    """
    epochs = -(-steps * size // examples)
    order = jax.vmap(jax.random.permutation, (0, None))(jax.random.split(key, epochs), examples)
    return order.reshape(-1)[: steps * size].reshape(steps, size)
