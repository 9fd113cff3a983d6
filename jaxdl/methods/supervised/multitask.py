"""Several tasks learned together from the same images: hard and soft sharing of parameters.

Shapes: B batch, H W image, C channels, T tasks, A classes of a task.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from jaxdl.methods.supervised import examples
from jaxdl.methods.supervised.configs import Multitask as Config
from jaxdl.nn.classify import CNN, MLP
from jaxdl.nn.multitask import HardSharing, SoftSharing
from jaxdl.ops import multitask as ops
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step, with_gradient


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, W, C], "label": int [B, T]}`.

    Args:
      config: the settings.
      network: `(images, train=bool) -> logits`, T times [B, A], see `jaxdl.nn.multitask`. None for
        hard sharing of its `CNN` by two tasks of ten classes.
      optimizer: None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method that predicts `logits/t`, [B, A], of each task t, with stored statistics. Its
      evaluation gives Moments of `accuracy/t` and `loss/t`, of `accuracy`, of all answers, of `all
      right`, images with no wrong answer, and of `loss`, the sum over tasks. In training there are
      `accuracy/t` and, with surgery, `conflict`, the smallest cosine between the gradients of two
      tasks.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    network = network or HardSharing(CNN(classes=128))
    optimizer = optimizer or optax.adam(1e-3)

    def losses(params, extra, key, batch):
        """Returns a loss for each task, whose sum is trained."""
        logits, seen = network.apply(
            {"params": params["network"], "batch_stats": extra},
            (batch["image"] - config.mean) / config.deviation,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        own, right = _judged(logits, batch["label"])
        own = own.mean(0)
        if config.weighting == "uncertainty":
            own = ops.uncertainty_weighted(own, params["log_variance"])
        if config.coupling:
            penalty = config.coupling / 2 * ops.spread(params["network"]["trunk"])
            own += penalty / len(logits)
        metrics = {f"accuracy/{task}": each for task, each in enumerate(right.mean(0))}
        return own, (seen.get("batch_stats", {}), metrics)

    def loss(params, extra, key, batch):
        if not config.surgery:
            own, rest = losses(params, extra, key, batch)
            return own.sum(), rest
        loss_key, order_key = jax.random.split(key)
        own, pull, (extra, metrics) = jax.vjp(
            lambda params: losses(params, extra, loss_key, batch),
            jax.lax.stop_gradient(params),
            has_aux=True,
        )
        gradients = jax.vmap(lambda unit: pull(unit)[0])(jnp.eye(len(own), dtype=own.dtype))
        if axis_name is not None:
            gradients = jax.lax.pmean(gradients, axis_name)
        flat = jax.vmap(lambda tree: ravel_pytree(tree)[0])(gradients)
        metrics["conflict"] = ops.conflict(flat).min()
        gradient = ravel_pytree(params)[1](ops.surgery(order_key, flat))
        return with_gradient(own.sum(), params, gradient), (extra, metrics)

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        made = network.init(parameter_key, batch["image"])
        params = {"network": made["params"]}
        if config.weighting == "uncertainty":
            params["log_variance"] = jnp.zeros(batch["label"].shape[-1])
        return TrainState.start(params, optimizer, made.get("batch_stats", {}), state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        found = network.apply(
            {"params": state.params["network"], "batch_stats": state.extra},
            (inputs["image"] - config.mean) / config.deviation,
        )
        return {f"logits/{task}": logits for task, logits in enumerate(found)}

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        logits = predict(state, batch)
        of_tasks = [logits[f"logits/{task}"] for task in range(len(logits))]
        own, right = _judged(of_tasks, batch["label"])
        values = {"accuracy": right.mean(-1), "all right": right.min(-1), "loss": own.sum(-1)}
        for task in range(own.shape[-1]):
            values |= {f"accuracy/{task}": right[:, task], f"loss/{task}": own[:, task]}
        return {name: Moments.of(value, batch["weight"]) for name, value in values.items()}

    return Method(init, gradient_step(loss, optimizer, axis_name=axis_name), predict, eval_step)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    config = Config(surgery=True, weighting="uncertainty", coupling=0.1)
    batch = examples.images()
    label = jnp.stack([batch["label"], batch["label"] % 2], -1)
    return config, SoftSharing(MLP((), 4), (examples.CLASSES, 2)), batch | {"label": label}


def check(config: Config) -> None:
    """Raises ValueError when a setting is out of its range."""
    if config.coupling < 0 or not config.deviation > 0:
        raise ValueError(f"coupling must not be negative and deviation positive, got {config}")


def _judged(logits, label):
    """Returns losses and whether answers are right, both float [B, T]."""
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels
    losses = [cross_entropy(each, label[:, task]) for task, each in enumerate(logits)]
    right = [each.argmax(-1) == label[:, task] for task, each in enumerate(logits)]
    return jnp.stack(losses, -1), jnp.stack(right, -1).astype(jnp.float32)
