"""GANomaly (Akcay, Atapour-Abarghouei and Breckon, 2018, arXiv 1805.06725).

An autoencoder learns healthy images, and a second encoder to find the same latent vector in what
the autoencoder made of them; how far the two are apart says how strange an image is.

Shapes: B batch, H image, C channels, Z latent dimensions.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.gan import examples
from jaxdl.methods.gan.configs import GANomaly as Config
from jaxdl.nn.gan import Encoder, GANomalyGenerator
from jaxdl.ops.metrics import Moments
from jaxdl.train.players import OneOrEach, Turn, by_player, players_step, together
from jaxdl.train.state import Method, TrainState, step_key

PLAYERS = ("generator", "discriminator")
EXCEPTIONS = {"the loss falls": "two networks play against one another: there is no one loss"}


def make(
    config: Config,
    *,
    network: tuple[nn.Module, nn.Module] | None = None,
    optimizer: OneOrEach | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, H, C]}` in [-1, 1], of healthy images alone in training.

    As in the authors' code both updates are those of the networks before the step. The losses share
    one pass of the discriminator over each image, where that code makes two: its gradients are the
    same, and its running statistics, which only `predict` uses, see each batch once.

    Args:
      config: the settings.
      network: `(images, train=bool) -> (reconstructions, their latents [B, Z], the images'
        latents)` and `(images, train=bool) -> (logits [B, 1], features [B, ...])`, see
        `jaxdl.nn.gan`. None for the authors'.
      optimizer: of both, or of the generator and of the discriminator. None for Adam at 2e-4 (b1
        0.5).
      axis_name: the mapped axis over which gradients, statistics and metrics are averaged, inside
        `pmap` or `shard_map`; None under `jit`, where the statistics are those of the whole batch.

    Returns:
      A Method that predicts, of `{"image"}`, with the stored statistics, so that all depends on the
      image alone: `image`, what the generator makes of it, [B, H, H, C], and how strange it is in
      three ways, [B], larger being stranger: `latent`, the mean squared distance of the two latent
      vectors, which is the authors' score; `reconstruction`, the mean absolute distance of image
      and reconstruction; `feature`, the mean squared distance of the discriminator's features of
      them. Its evaluation gives Moments of the three.
    """
    generator, discriminator = modules = network or networks(config)
    optimizers = by_player(PLAYERS, optimizer or optax.adam(2e-4, b1=0.5))

    def losses(params, extra, key, batch):
        del key
        images, seen = batch["image"], dict(extra["statistics"])

        def apply(name, module, shown):
            found, changed = module.apply(
                {"params": params[name], "batch_stats": seen[name]},
                shown,
                train=True,
                mutable=["batch_stats"],
            )
            seen[name] = changed.get("batch_stats", {})
            return found

        reconstructed, again, latent = apply("generator", generator, images)
        real_logit, real_features = apply("discriminator", discriminator, images)
        fake_logit, fake_features = apply("discriminator", discriminator, reconstructed)
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
        own = {name: metrics[f"{name}_loss"] for name in PLAYERS}
        return own, ({"statistics": seen}, metrics)

    step = players_step([Turn(losses, PLAYERS)], optimizers, axis_name=axis_name)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        after, metrics = step(state, batch)
        won = metrics["discriminator_loss"] < config.restart_below
        # Adam's moments and the running statistics stay, as in the authors' code.
        judge = jax.lax.cond(
            won,
            lambda: discriminator.init(step_key(state, 0), batch["image"][:1], train=True)[
                "params"
            ],
            lambda: after.params["discriminator"],
        )
        restarts = state.extra["restarts"] + won
        after = after._replace(
            params=after.params | {"discriminator": judge},
            extra=after.extra | {"restarts": restarts},
        )
        return after, metrics | {"restarts": restarts.astype(jnp.float32)}

    def init(key: jax.Array, batch: Any) -> TrainState:
        *keys, state_key = jax.random.split(key, 3)
        variables = {
            name: module.init(own, batch["image"], train=True)
            for name, module, own in zip(PLAYERS, modules, keys, strict=True)
        }
        extra = {
            "statistics": {name: made.get("batch_stats", {}) for name, made in variables.items()},
            "restarts": jnp.zeros((), jnp.int32),
        }
        params = {name: made["params"] for name, made in variables.items()}
        return TrainState.start(params, together(optimizers), extra, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        images = inputs["image"]

        def apply(name, module, shown):
            statistics = state.extra["statistics"][name]
            return module.apply({"params": state.params[name], "batch_stats": statistics}, shown)

        reconstructed, again, latent = apply("generator", generator, images)
        _, real = apply("discriminator", discriminator, images)
        _, fake = apply("discriminator", discriminator, reconstructed)
        apart = {
            "latent": (again - latent) ** 2,
            "reconstruction": jnp.abs(reconstructed - images),
            "feature": (real - fake) ** 2,
        }
        scores = {name: far.mean(tuple(range(1, far.ndim))) for name, far in apart.items()}
        return scores | {"image": reconstructed}

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        found = predict(state, batch)
        return {
            name: Moments.of(found[name], batch["weight"])
            for name in ("latent", "reconstruction", "feature")
        }

    return Method(init, train_step, predict, eval_step, {"score": "latent"})


def networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator that `make` takes when it is given none."""
    return (
        GANomalyGenerator(config.size, config.channels, config.latent, config.features),
        Encoder(latent=1, features=config.features),
    )


def example(
    axis_name: str | None = None,
) -> tuple[Config, tuple[nn.Module, nn.Module], dict[str, Any]]:
    """Returns a small config, networks and batch."""
    network = examples.TwiceEncoded(axis_name), examples.Judge(axis_name)
    # Weights with which a step of rate 1 without Adam does not go too far.
    config = Config(adversarial_weight=0.1, reconstruction_weight=0.1, latent_weight=0.1)
    return config, network, examples.batch()
