"""GANomaly (Akcay, Atapour-Abarghouei and Breckon, 2018, arXiv 1805.06725).

An autoencoder learns healthy images, and a second encoder to find the same latent vector in what
the autoencoder made of them; how far the two are apart says how strange an image is.

Shapes: B batch, H image, C channels, Z latent dimensions.
"""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.gan import Encoder, GANomalyGenerator
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState, step_key


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines GANomaly; the defaults are the authors'."""

    size: int = 32
    """H, in pixels: 8, 16, 32, ..."""
    channels: int = 1
    """C."""
    latent: int = 100
    """Z."""
    features: int = 64
    """Channels of the layers nearest to the image, of all networks."""
    adversarial_weight: float = 1.0
    """Of the squared distance of the discriminator's features of image and reconstruction."""
    reconstruction_weight: float = 50.0
    """Of the absolute distance of image and reconstruction."""
    latent_weight: float = 1.0
    """Of the squared distance of the two latent vectors."""
    restart_below: float = 1e-5
    """Loss below which the discriminator has won and is initialised anew; 0 for never."""


def make(
    config: Config,
    *,
    network: tuple[nn.Module, nn.Module] | None = None,
    optimizer: tuple[optax.GradientTransformation, optax.GradientTransformation] | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, H, C]}` in [-1, 1], of healthy images alone in training.

    As in the authors' code both updates are those of the networks before the step. The losses share
    one pass of the discriminator over each image, where that code makes two: its gradients are the
    same, and its running statistics, which only `scores` uses, see each batch once.

    Args:
      config: the settings.
      network: `images -> (reconstructions, their latents [B, Z], the images' latents)` and
        `images -> (logits [B, 1], features [B, ...])`, see `jaxdl.nn.gan`. None for the authors'.
      optimizer: of the generator and of the discriminator. None for Adam at 2e-4 (b1 0.5).
      axis_name: the mapped axis over which gradients, statistics and metrics are averaged, inside
        `pmap` or `shard_map`; None under `jit`, where the statistics are those of the whole batch.

    Returns:
      A Method whose evaluation gives Moments of the losses with the stored statistics:
      `reconstruction`, `latent` and `feature`.

    Raises:
      ValueError: when a setting is out of its range.
    """
    generator, discriminator = network or networks(config)
    optimizers = optimizer or (optax.adam(2e-4, b1=0.5), optax.adam(2e-4, b1=0.5))

    def losses(params, statistics, images):
        (reconstructed, again, latent), seen = generator.apply(
            {"params": params["generator"], "batch_stats": statistics["generator"]},
            images,
            mutable=["batch_stats"],
        )
        statistics = statistics | {"generator": seen.get("batch_stats", {})}
        judged = []
        for shown in (images, reconstructed):
            variables = {
                "params": params["discriminator"],
                "batch_stats": statistics["discriminator"],
            }
            out, seen = discriminator.apply(variables, shown, mutable=["batch_stats"])
            statistics = statistics | {"discriminator": seen.get("batch_stats", {})}
            judged.append(out)
        (real_logit, real_features), (fake_logit, fake_features) = judged
        metrics = {
            "adversarial": jnp.mean((real_features - fake_features) ** 2),
            "reconstruction": jnp.mean(jnp.abs(reconstructed - images)),
            "latent": jnp.mean((again - latent) ** 2),
            "real_logit": real_logit.mean(),
            "fake_logit": fake_logit.mean(),
        }
        metrics["generator_loss"] = (
            config.adversarial_weight * metrics["adversarial"]
            + config.reconstruction_weight * metrics["reconstruction"]
            + config.latent_weight * metrics["latent"]
        )
        metrics["discriminator_loss"] = 0.5 * (
            jax.nn.softplus(-real_logit).mean() + jax.nn.softplus(fake_logit).mean()
        )
        both = metrics["generator_loss"], metrics["discriminator_loss"]
        return both, (statistics, metrics)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        def of(params):
            return losses(params, state.extra["statistics"], batch["image"])

        _, pull, (statistics, metrics) = jax.vjp(of, state.params, has_aux=True)
        # What XLA does not need of the two it leaves out: each loss changes its own network alone.
        gradient = {
            "generator": pull((1.0, 0.0))[0]["generator"],
            "discriminator": pull((0.0, 1.0))[0]["discriminator"],
        }
        if axis_name is not None:
            gradient, statistics, metrics = jax.lax.pmean(
                (gradient, statistics, metrics), axis_name
            )
        params, opt_state = {}, {}
        for name, own in zip(("generator", "discriminator"), optimizers, strict=True):
            metrics[f"{name}_gradient_norm"] = optax.tree.norm(gradient[name])
            change, opt_state[name] = own.update(
                gradient[name], state.opt_state[name], state.params[name]
            )
            params[name] = optax.apply_updates(state.params[name], change)
        won = metrics["discriminator_loss"] < config.restart_below
        # Adam's moments and the running statistics stay, as in the authors' code.
        params["discriminator"] = jax.lax.cond(
            won,
            lambda: discriminator.init(step_key(state, 0), batch["image"][:1])["params"],
            lambda: params["discriminator"],
        )
        restarts = state.extra["restarts"] + won
        metrics["restarts"] = restarts.astype(jnp.float32)
        extra = {"statistics": statistics, "restarts": restarts}
        return TrainState(state.step + 1, params, opt_state, extra, state.key), metrics

    def init(key: jax.Array, batch: Any) -> TrainState:
        *keys, state_key = jax.random.split(key, 3)
        names = ("generator", "discriminator")
        variables = {
            name: module.init(own, batch["image"])
            for name, module, own in zip(names, (generator, discriminator), keys, strict=True)
        }
        params = {name: variables[name]["params"] for name in names}
        return TrainState(
            jnp.zeros((), jnp.int32),
            params,
            {name: own.init(params[name]) for name, own in zip(names, optimizers, strict=True)},
            {
                "statistics": {name: variables[name].get("batch_stats", {}) for name in names},
                "restarts": jnp.zeros((), jnp.int32),
            },
            state_key,
        )

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        measured = scores((generator, discriminator), state, batch["image"])
        return {name: Moments.of(value, batch["weight"]) for name, value in measured.items()}

    return Method(init, train_step, eval_step)


def networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator that `make` takes when it is given none."""
    return (
        GANomalyGenerator(config.size, config.channels, config.latent, config.features),
        Encoder(latent=1, features=config.features),
    )


def reconstruct(
    network: tuple[nn.Module, nn.Module], state: TrainState, images: jax.Array
) -> jax.Array:
    """Returns what the generator makes of images [B, H, H, C], with the stored statistics."""
    return _running(network[0], state, "generator", images)[0]


def scores(
    network: tuple[nn.Module, nn.Module], state: TrainState, images: jax.Array
) -> dict[str, jax.Array]:
    """Says how strange each image is, in three ways; larger is stranger.

    With the stored statistics, so that a score depends on its image alone.

    Args:
      network: what `make` was given, or `networks(config)`.
      state: of the training.
      images: [B, H, H, C] in [-1, 1].

    Returns:
      `latent`, the mean squared distance of the two latent vectors, which is the authors' score;
      `reconstruction`, the mean absolute distance of image and reconstruction; `feature`, the mean
      squared distance of the discriminator's features of them: each [B].
    """
    reconstructed, again, latent = _running(network[0], state, "generator", images)
    real, fake = (
        _running(network[1], state, "discriminator", shown)[1] for shown in (images, reconstructed)
    )

    def mean(values):
        return values.mean(tuple(range(1, values.ndim)))

    return {
        "latent": mean((again - latent) ** 2),
        "reconstruction": mean(jnp.abs(reconstructed - images)),
        "feature": mean((real - fake) ** 2),
    }


def _running(module: nn.Module, state: TrainState, name: str, images: jax.Array) -> Any:
    variables = {"params": state.params[name], "batch_stats": state.extra["statistics"][name]}
    return module.apply(variables, images, use_running_average=True)
