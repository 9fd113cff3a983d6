"""A classifier, trained by cross-entropy.

Shapes: B batch, H W image, C channels, A classes.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.classify import SmallCNN
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines the training."""

    classes: int = 10
    """A."""


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, W, C], "label": int [B]}`.

    Args:
      config: the settings.
      network: maps images to logits [B, A] and features. None for `jaxdl.nn.classify.SmallCNN`.
      optimizer: None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose evaluation gives Moments of `accuracy` and `loss`.
    """
    network = network or SmallCNN(config.classes)
    optimizer = optimizer or optax.adam(1e-3)

    def measure(params, batch):
        logits, _ = network.apply({"params": params}, batch["image"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return losses, (logits.argmax(-1) == batch["label"]).astype(jnp.float32)

    def loss(params, extra, key, batch):
        del key
        losses, right = measure(params, batch)
        return losses.mean(), (extra, {"accuracy": right.mean()})

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        params = network.init(parameter_key, batch["image"])["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), (), state_key)

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        losses, right = measure(state.params, batch)
        return {
            "accuracy": Moments.of(right, batch["weight"]),
            "loss": Moments.of(losses, batch["weight"]),
        }

    return Method(init, gradient_step(loss, optimizer, axis_name=axis_name), eval_step)
