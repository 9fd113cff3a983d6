"""Generative adversarial networks (Goodfellow et al., 2014, arXiv 1406.2661).

All updates of one iteration are one step: the discriminator's, each on real images of its own, then
the generator's, and the average of the generator's parameters from which is sampled.

Shapes: B batch, H W image, C channels, Z latent dimensions, U discriminator updates.
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.gan import examples
from jaxdl.methods.gan.configs import GAN as Config
from jaxdl.nn.gan import Discriminator, Generator
from jaxdl.ops import adversarial
from jaxdl.ops.metrics import Moments
from jaxdl.train.players import OneOrEach, Turn, by_player, players_step, together
from jaxdl.train.state import Method, TrainState, step_key, variables

PLAYERS = ("generator", "discriminator")
EXCEPTIONS = {
    "the loss falls": "two networks play against one another: there is no one loss",
    "answers": "a label is what it is asked for",
}
LOSSES = {
    "non_saturating": adversarial.NON_SATURATING,
    "hinge": adversarial.HINGE,
    "least_squares": adversarial.LEAST_SQUARES,
    "wasserstein": adversarial.WASSERSTEIN,
}


def make(
    config: Config,
    *,
    network: tuple[nn.Module, nn.Module] | None = None,
    optimizer: OneOrEach | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [U * B, H, W, C]}` in [-1, 1], with `"label"`, int [U * B], when there are
    classes; each update of the discriminator takes every U-th image.

    Args:
      config: the settings.
      network: `(latent, label, train=bool) -> images` and `(images, label, train=bool) -> logits`,
        see `jaxdl.nn.gan`. None for DCGAN's on 28 x 28 pixels, the discriminator without
        normalisation when its slope is penalised.
      optimizer: of both, or of the generator and of the discriminator. None for Adam at 2e-4 (b1
        0.5).
      axis_name: the mapped axis over which gradients, statistics and metrics are averaged, inside
        `pmap` or `shard_map`; None under `jit`, where the statistics are those of the whole batch.

    Returns:
      A Method that predicts, of `{"latent": [B, Z]}`, with `"label"` when there are classes,
      `image`, [B, H, W, C] in [-1, 1], with the averaged parameters and statistics. Its evaluation
      gives Moments of `real_logit` and `fake_logit`, with the stored statistics, on images and as
      many generated ones.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    modules = dict(zip(PLAYERS, network or networks(config), strict=True))
    optimizers = by_player(PLAYERS, optimizer or optax.adam(2e-4, b1=0.5))
    train_step = players_step(
        turns(config, modules),
        optimizers,
        axis_name=axis_name,
        average="generator",
        average_decay=config.average_decay,
    )

    def init(key: jax.Array, batch: Any) -> TrainState:
        *keys, state_key = jax.random.split(key, 3)
        latent = jnp.zeros((len(batch["image"]), config.latent))
        made = {
            name: modules[name].init(own, inputs, batch.get("label"), train=True)
            for name, own, inputs in zip(PLAYERS, keys, (latent, batch["image"]), strict=True)
        }
        params = {name: made[name].get("params", {}) for name in PLAYERS}
        extra = {name: made[name].get("batch_stats", {}) for name in PLAYERS}
        own = {"batch_stats": extra["generator"]}
        extra["average"] = variables(params["generator"], own)
        return TrainState.start(params, together(optimizers), extra, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        average = state.extra["average"]
        image = modules["generator"].apply(average, inputs["latent"], inputs.get("label"))
        return {"image": image}

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        latent = jax.random.normal(step_key(state, 0), (len(batch["image"]), config.latent))
        fake = predict(state, {**batch, "latent": latent})["image"]
        own = {"batch_stats": state.extra["discriminator"]}
        stored = variables(state.params["discriminator"], own)
        return {
            name: Moments.of(
                modules["discriminator"].apply(stored, images, batch.get("label")),
                batch["weight"],
            )
            for name, images in (("real_logit", batch["image"]), ("fake_logit", fake))
        }

    return Method(init, train_step, predict, eval_step)


def turns(config: Config, modules: Mapping[str, nn.Module]) -> tuple[Turn, Turn]:
    """Returns the turns of a step: the discriminator's and the generator's."""
    loss = LOSSES[config.loss]

    def apply(name, params, statistics, inputs, label):
        out, seen = modules[name].apply(
            {"params": params[name], "batch_stats": statistics},
            inputs,
            label,
            train=True,
            mutable=["batch_stats"],
        )
        return out, seen.get("batch_stats", {})

    def generated(key, params, extra, batch):
        latent = jax.random.normal(key, (len(batch["image"]), config.latent))
        return apply("generator", params, extra["generator"], latent, batch.get("label"))

    def discriminate(params, extra, key, batch):
        latent_key, penalty_key = jax.random.split(key)
        real, label = batch["image"], batch.get("label")
        fake, _ = generated(latent_key, params, extra, batch)
        real_logit, seen = apply("discriminator", params, extra["discriminator"], real, label)
        fake_logit, seen = apply("discriminator", params, seen, fake, label)
        value = loss.real(real_logit).mean() + loss.fake(fake_logit).mean()
        metrics = {
            "discriminator_loss": value,
            "real_logit": real_logit.mean(),
            "fake_logit": fake_logit.mean(),
        }
        if config.penalty != "none":
            places = {
                "wgan_gp": lambda: adversarial.between(penalty_key, real, fake),
                "dragan": lambda: adversarial.around(penalty_key, real),
                "r1": lambda: real,
            }
            penalise = adversarial.r1 if config.penalty == "r1" else adversarial.gradient_penalty
            penalty = penalise(
                lambda images: apply("discriminator", params, seen, images, label)[0],
                places[config.penalty](),
            ).mean()
            metrics["penalty"] = penalty
            value = value + config.penalty_weight * penalty
        return {"discriminator": value}, ({"discriminator": seen}, metrics)

    def generate(params, extra, key, batch):
        images, seen = generated(key, params, extra, batch)
        logit, _ = apply(
            "discriminator", params, extra["discriminator"], images, batch.get("label")
        )
        value = loss.generator(logit).mean()
        return {"generator": value}, ({"generator": seen}, {"generator_loss": value})

    return (
        Turn(discriminate, ("discriminator",), config.critic_updates),
        Turn(generate, ("generator",)),
    )


def networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator that `make` takes when it is given none."""
    normalisation = "batch" if config.penalty == "none" else "none"
    return (
        Generator(classes=config.classes),
        Discriminator(normalisation=normalisation, classes=config.classes),
    )


def check(config: Config) -> None:
    """Raises ValueError when a setting is out of its range."""
    if config.latent < 1 or config.critic_updates < 1 or config.classes < 0:
        raise ValueError(f"latent and critic_updates must be positive, got {config}")
    if not 0 <= config.average_decay < 1 or not config.penalty_weight > 0:
        raise ValueError(
            f"average_decay must be in [0, 1) and penalty_weight positive, got {config}"
        )


def example(
    axis_name: str | None = None,
) -> tuple[Config, tuple[nn.Module, nn.Module], dict[str, Any]]:
    """Returns a small config, networks and batch; in it are also the latents to predict from."""
    config = Config(
        latent=examples.LATENT, classes=examples.CLASSES, critic_updates=2, penalty="r1"
    )
    network = examples.Generator(), examples.Discriminator(axis_name)
    return config, network, examples.batch()
