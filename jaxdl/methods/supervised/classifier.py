"""A classifier, trained by cross-entropy on images that are changed at random inside the step.

Softmax regression, a perceptron and a residual network are the same step with other networks.

Shapes: B batch, H W image, C channels, A classes.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.supervised import examples
from jaxdl.methods.supervised.configs import Classifier as Config
from jaxdl.nn.classify import CNN
from jaxdl.ops import augmentation
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState, variables
from jaxdl.train.step import gradient_step


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
      A Method that predicts `logits`, [B, A], and the `features` that the network sows, if it does,
      with the stored statistics and, if there is one, the average. Its evaluation gives Moments of
      `accuracy` and `loss`. In training `accuracy` is that of the changed images, of mixed ones by
      the label of the first.

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
            variables(params, extra),
            (images - config.mean) / config.deviation,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        right = (logits.argmax(-1) == batch["label"]).mean(dtype=jnp.float32)
        extra = extra | {"batch_stats": seen.get("batch_stats", {})}
        return optax.softmax_cross_entropy(logits, targets).mean(), (extra, {"accuracy": right})

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        made = network.init(parameter_key, batch["image"])
        extra = {"batch_stats": made.get("batch_stats", {})}
        if config.average_decay:
            extra["average"] = variables(made["params"], extra)
        return TrainState.start(made["params"], optimizer, extra, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        logits, seen = network.apply(
            tested(state),
            (inputs["image"] - config.mean) / config.deviation,
            mutable=["intermediates"],
        )
        found = seen.get("intermediates", {}).get("features", ())
        return {"logits": logits} | ({"features": found[0]} if found else {})

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        logits = predict(state, batch)["logits"]
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        right = (logits.argmax(-1) == batch["label"]).astype(jnp.float32)
        return {
            "accuracy": Moments.of(right, batch["weight"]),
            "loss": Moments.of(losses, batch["weight"]),
        }

    train_step = gradient_step(
        loss,
        optimizer,
        axis_name=axis_name,
        microbatch=config.microbatch,
        average_decay=config.average_decay,
    )
    return Method(init, train_step, predict, eval_step)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    network = CNN(((4,),), (6,), examples.CLASSES, batch_norm=True, axis_name=axis_name)
    return Config(classes=examples.CLASSES), network, examples.images()


def started(state: TrainState, change: Callable[[Any], Any]) -> TrainState:
    """Returns the state of a training that starts from other variables of the network.

    Args:
      state: a new one, whose optimizer has nothing to forget.
      change: from the variables, `params` and `batch_stats`, to those to start from, of the same
        shapes; `jaxdl.train.transfer.load` makes them of another network's.
    """
    taken = change(variables(state.params, state.extra))
    extra = state.extra | {"batch_stats": taken["batch_stats"]}
    if "average" in extra:
        extra["average"] = taken
    return state._replace(params=taken["params"], extra=extra)


def tested(state: TrainState) -> dict[str, Any]:
    """Returns the variables that are evaluated: the average if there is one."""
    return state.extra.get("average", variables(state.params, state.extra))


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
