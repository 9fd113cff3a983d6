"""A classifier, trained by cross-entropy on images that are changed at random inside the step.

Softmax regression, a perceptron and a residual network are the same step with other networks.

Shapes: B batch, H W image, C channels, A classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.classify import CNN
from jaxdl.ops import augmentation
from jaxdl.ops.augmentation import Changes
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState, averaged
from jaxdl.train.step import gradient_step


@dataclass(frozen=True, kw_only=True)
class Config(Changes):
    """What defines the training; changes of the images are of those in [0, 1]."""

    classes: int = 10
    """A."""
    mean: float = 0.0
    """Subtracted from each pixel, after the changes."""
    deviation: float = 1.0
    """By which each pixel is divided then."""
    mixup: float = 0.0
    """Two images and their labels are mixed by a share from Beta(mixup, mixup) (Zhang et al.,
    2018); 0 for not at all."""
    label_smoothing: float = 0.0
    """Share of the target that all classes have alike (Szegedy et al., 2016)."""
    average_decay: float = 0.0
    """Share of the averaged parameters, which are evaluated, that a step keeps, see
    `jaxdl.train.state.averaged`; 0 for no average."""
    microbatch: int | None = None
    """Images that a device takes at once, see `jaxdl.train.step.gradient_step`; batch statistics
    are then those of a microbatch."""


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
      network: `(images, train=bool) -> logits [B, A]`, see `jaxdl.nn.classify`. None for its `CNN`.
      optimizer: None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose evaluation gives Moments of `accuracy` and `loss`, with the stored statistics
      and, if there is one, the average. In training `accuracy` is that of the changed images, of
      mixed ones by the label of the first.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    network = network or CNN(classes=config.classes)
    optimizer = optimizer or optax.adam(1e-3)

    def loss(params, extra, key, batch):
        change_key, mix_key, dropout_key = jax.random.split(key, 3)
        images = augmented(config, change_key, batch["image"])
        targets = jax.nn.one_hot(batch["label"], config.classes)
        targets = optax.smooth_labels(targets, config.label_smoothing)
        if config.mixup:
            images, targets = augmentation.mixup(mix_key, images, targets, config.mixup)
        logits, seen = network.apply(
            {"params": params, "batch_stats": extra["batch_stats"]},
            (images - config.mean) / config.deviation,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        right = (logits.argmax(-1) == batch["label"]).mean(dtype=jnp.float32)
        extra = extra | {"batch_stats": seen.get("batch_stats", {})}
        return optax.softmax_cross_entropy(logits, targets).mean(), (extra, {"accuracy": right})

    step = gradient_step(loss, optimizer, axis_name=axis_name, microbatch=config.microbatch)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        after, metrics = step(state, batch)
        if config.average_decay:
            now = {"params": after.params, "batch_stats": after.extra["batch_stats"]}
            average = averaged(state.extra["average"], now, state.step, config.average_decay)
            after = after._replace(extra=after.extra | {"average": average})
        return after, metrics

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        variables = network.init(parameter_key, batch["image"])
        params, statistics = variables["params"], variables.get("batch_stats", {})
        extra = {"batch_stats": statistics}
        if config.average_decay:
            extra["average"] = {"params": params, "batch_stats": statistics}
        return TrainState(
            jnp.zeros((), jnp.int32), params, optimizer.init(params), extra, state_key
        )

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        logits = predict(config, network, state, batch["image"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        right = (logits.argmax(-1) == batch["label"]).astype(jnp.float32)
        return {
            "accuracy": Moments.of(right, batch["weight"]),
            "loss": Moments.of(losses, batch["weight"]),
        }

    return Method(init, train_step, eval_step)


def predict(config: Config, network: nn.Module, state: TrainState, images: jax.Array) -> jax.Array:
    """Returns the logits [B, A] of images [B, H, W, C], with the average if there is one."""
    return network.apply(tested(state), (images - config.mean) / config.deviation)


def started(state: TrainState, change: Callable[[Any], Any]) -> TrainState:
    """Returns the state of a training that starts from other variables of the network.

    Args:
      state: a new one, whose optimizer has nothing to forget.
      change: from the variables, `params` and `batch_stats`, to those to start from, of the same
        shapes; `jaxdl.train.transfer.load` makes them of another network's.
    """
    stored = {"params": state.params, "batch_stats": state.extra["batch_stats"]}
    variables = change(stored)
    extra = state.extra | {"batch_stats": variables["batch_stats"]}
    if "average" in extra:
        extra["average"] = variables
    return state._replace(params=variables["params"], extra=extra)


def tested(state: TrainState) -> dict[str, Any]:
    """Returns the variables that are evaluated: the average if there is one."""
    stored = {"params": state.params, "batch_stats": state.extra["batch_stats"]}
    return state.extra.get("average", stored)


def augmented(config: Config, key: jax.Array, images: jax.Array) -> jax.Array:
    """Changes images [B, H, W, C] in [0, 1], each in its own way."""
    keys = jax.random.split(key, len(images))
    return jax.vmap(lambda key, image: augmentation.change(config, key, image))(keys, images)


def check(config: Config) -> None:
    """Raises ValueError when a setting is out of its range."""
    for name in ("degrees", "scale", "shear", "shift", "brightness", "noise", "mixup"):
        if getattr(config, name) < 0:
            raise ValueError(f"{name} must not be negative, got {getattr(config, name)}")
    for name in ("label_smoothing", "average_decay", "scale"):
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name} must be in [0, 1), got {getattr(config, name)}")
    if not config.deviation > 0 or config.classes < 2:
        raise ValueError(f"deviation must be positive and classes at least 2, got {config}")
