"""A convolutional autoencoder, and anomaly detection by its error (Hawkins et al., 2002).

Shapes: B batch, H image, C channels, Z latent dimensions.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.gan import examples
from jaxdl.methods.gan.configs import Autoencoder as Config
from jaxdl.nn.gan import Autoencoder
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step


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
      network: `(images, train=bool) -> (reconstructions, latents)`, see `jaxdl.nn.gan`. None for
        GANomaly's.
      optimizer: None for Adam at 2e-4 (b1 0.5), GANomaly's.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method that predicts, of `{"image"}`, with the stored statistics, so that all depends on the
      image alone: `image`, what the network makes of it, [B, H, H, C], and `reconstruction`, the
      mean absolute error, [B], larger being stranger. Its evaluation gives Moments of the latter.
    """
    network = network or Autoencoder(config.size, config.channels, config.latent, config.features)
    optimizer = optimizer or optax.adam(2e-4, b1=0.5)

    def loss(params, extra, key, batch):
        del key
        (reconstructed, _), seen = network.apply(
            {"params": params, "batch_stats": extra},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
        )
        value = jnp.mean(jnp.abs(reconstructed - batch["image"]))
        return value, (seen.get("batch_stats", {}), {})

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        variables = network.init(parameter_key, batch["image"], train=True)
        statistics = variables.get("batch_stats", {})
        return TrainState.start(variables["params"], optimizer, statistics, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        stored = {"params": state.params, "batch_stats": state.extra}
        reconstructed, _ = network.apply(stored, inputs["image"])
        error = jnp.abs(reconstructed - inputs["image"])
        return {
            "reconstruction": error.mean(tuple(range(1, error.ndim))),
            "image": reconstructed,
        }

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        error = predict(state, batch)["reconstruction"]
        return {"reconstruction": Moments.of(error, batch["weight"])}

    train_step = gradient_step(loss, optimizer, axis_name=axis_name)
    return Method(init, train_step, predict, eval_step, {"score": "reconstruction"})


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    return Config(), examples.Autoencoder(axis_name), examples.batch()
