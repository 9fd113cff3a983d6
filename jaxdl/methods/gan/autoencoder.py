"""A convolutional autoencoder, and anomaly detection by its error (Hawkins et al., 2002).

Shapes: B batch, H image, C channels, Z latent dimensions.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.gan import Autoencoder
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines the autoencoder; the network is GANomaly's without its second encoder."""

    size: int = 32
    """H, in pixels: 8, 16, 32, ..."""
    channels: int = 1
    """C."""
    latent: int = 100
    """Z."""
    features: int = 64
    """Channels of the layers nearest to the image."""


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, H, C]}` in [-1, 1]; the loss is the mean absolute error.

    Args:
      config: the settings.
      network: `images -> (reconstructions, latents)`, see `jaxdl.nn.gan`. None for GANomaly's.
      optimizer: None for Adam at 2e-4 (b1 0.5), GANomaly's.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose evaluation gives Moments of `reconstruction`, see `scores`.
    """
    network = network or networks(config)
    optimizer = optimizer or optax.adam(2e-4, b1=0.5)

    def loss(params, extra, key, batch):
        del key
        variables = {"params": params, "batch_stats": extra}
        (reconstructed, _), seen = network.apply(variables, batch["image"], mutable=["batch_stats"])
        value = jnp.mean(jnp.abs(reconstructed - batch["image"]))
        return value, (seen.get("batch_stats", {}), {})

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        variables = network.init(parameter_key, batch["image"])
        params = variables["params"]
        return TrainState(
            jnp.zeros((), jnp.int32),
            params,
            optimizer.init(params),
            variables.get("batch_stats", {}),
            state_key,
        )

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        measured = scores(network, state, batch["image"])
        return {name: Moments.of(value, batch["weight"]) for name, value in measured.items()}

    return Method(init, gradient_step(loss, optimizer, axis_name=axis_name), eval_step)


def networks(config: Config) -> nn.Module:
    """Returns the network that `make` takes when it is given none."""
    return Autoencoder(config.size, config.channels, config.latent, config.features)


def reconstruct(network: nn.Module, state: TrainState, images: jax.Array) -> jax.Array:
    """Returns what the network makes of images [B, H, H, C], with the stored statistics."""
    variables = {"params": state.params, "batch_stats": state.extra}
    return network.apply(variables, images, use_running_average=True)[0]


def scores(network: nn.Module, state: TrainState, images: jax.Array) -> dict[str, jax.Array]:
    """Returns the mean absolute error `reconstruction` of each image, [B], larger being stranger.

    With the stored statistics, so that a score depends on its image alone.

    Args:
      network: what `make` was given, or `networks(config)`.
      state: of the training.
      images: [B, H, H, C] in [-1, 1].
    """
    error = jnp.abs(reconstruct(network, state, images) - images)
    return {"reconstruction": error.mean(tuple(range(1, error.ndim)))}
