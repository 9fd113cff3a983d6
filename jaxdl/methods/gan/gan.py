"""Generative adversarial networks (Goodfellow et al., 2014, arXiv 1406.2661).

All updates of one iteration are one step: the discriminator's, each on real images of its own, then
the generator's, and the average of the generator's parameters from which is sampled.

Shapes: B batch, H W image, C channels, Z latent dimensions, U discriminator updates.
"""

from dataclasses import dataclass
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.gan import Discriminator, Generator
from jaxdl.ops import adversarial
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState, averaged, step_key

LOSSES = {
    "non_saturating": adversarial.NON_SATURATING,
    "hinge": adversarial.HINGE,
    "least_squares": adversarial.LEAST_SQUARES,
    "wasserstein": adversarial.WASSERSTEIN,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines the training; the defaults are DCGAN's (Radford et al., 2016)."""

    latent: int = 100
    """Z; each is drawn from N(0, 1)."""
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein"] = "non_saturating"
    """See `jaxdl.ops.adversarial`."""
    penalty: Literal["none", "wgan_gp", "dragan", "r1"] = "none"
    """On the slope of the discriminator: near 1 between real and generated images (WGAN-GP) or
    around real ones (DRAGAN), or near 0 at real ones (R1)."""
    penalty_weight: float = 10.0
    """Of that penalty."""
    critic_updates: int = 1
    """Updates of the discriminator in a step (U)."""
    average_decay: float = 0.999
    """Share of the generator's averaged parameters that a step keeps; fewer in the first steps, see
    `jaxdl.train.state.averaged`; 0 for no average."""
    classes: int = 0
    """Classes by which images are generated and judged; 0 for none."""


def make(
    config: Config,
    *,
    network: tuple[nn.Module, nn.Module] | None = None,
    optimizer: tuple[optax.GradientTransformation, optax.GradientTransformation] | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [U * B, H, W, C]}` in [-1, 1], with `"label"`, int [U * B], when there are
    classes; each update of the discriminator takes every U-th image.

    Args:
      config: the settings.
      network: generator and discriminator, see `jaxdl.nn.gan`. None for DCGAN's on 28 x 28 pixels,
        the discriminator without normalisation when its slope is penalised.
      optimizer: of the generator and of the discriminator. None for Adam at 2e-4 (b1 0.5).
      axis_name: the mapped axis over which gradients, statistics and metrics are averaged, inside
        `pmap` or `shard_map`; None under `jit`, where the statistics are those of the whole batch.

    Returns:
      A Method whose evaluation gives Moments of `real_logit` and `fake_logit`, with the stored
      statistics, on images and as many generated ones.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    generator, discriminator = network or networks(config)
    loss = LOSSES[config.loss]
    optimizers = dict(
        zip(
            ("generator", "discriminator"),
            optimizer or (optax.adam(2e-4, b1=0.5), optax.adam(2e-4, b1=0.5)),
            strict=True,
        )
    )

    def apply(module, params, statistics, inputs, label):
        out, seen = module.apply(
            {"params": params, "batch_stats": statistics}, inputs, label, mutable=["batch_stats"]
        )
        return out, seen.get("batch_stats", {})

    def discriminator_loss(params, statistics, real, fake, label, key):
        real_logit, statistics = apply(discriminator, params, statistics, real, label)
        fake_logit, statistics = apply(discriminator, params, statistics, fake, label)
        value = loss.real(real_logit).mean() + loss.fake(fake_logit).mean()
        metrics = {
            "discriminator_loss": value,
            "real_logit": real_logit.mean(),
            "fake_logit": fake_logit.mean(),
        }
        if config.penalty != "none":
            places = {
                "wgan_gp": lambda: adversarial.between(key, real, fake),
                "dragan": lambda: adversarial.around(key, real),
                "r1": lambda: real,
            }
            penalise = adversarial.r1 if config.penalty == "r1" else adversarial.gradient_penalty
            penalty = penalise(
                lambda images: apply(discriminator, params, statistics, images, label)[0],
                places[config.penalty](),
            ).mean()
            metrics["penalty"] = penalty
            value = value + config.penalty_weight * penalty
        return value, (statistics, metrics)

    def generator_loss(params, statistics, other, other_statistics, latent, label):
        images, statistics = apply(generator, params, statistics, latent, label)
        logit, _ = apply(discriminator, other, other_statistics, images, label)
        value = loss.generator(logit).mean()
        return value, (statistics, {"generator_loss": value})

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def update(name, gradient, params, opt_state):
        change, opt_state = optimizers[name].update(gradient, opt_state, params)
        return optax.apply_updates(params, change), opt_state

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        params, opt_state, extra = state.params, state.opt_state, state.extra
        key = step_key(state, 0)
        if axis_name is not None:
            key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
        # Every U-th, so that devices that share the batch need not exchange images.
        parts = jax.tree.map(
            lambda leaf: leaf.reshape(-1, config.critic_updates, *leaf.shape[1:]), batch
        )
        size = parts["image"].shape[0]

        def criticise(carry, update_index):
            params_d, opt_state_d, statistics = carry
            part = jax.tree.map(lambda leaf: leaf[:, update_index], parts)
            latent_key, penalty_key = jax.random.split(jax.random.fold_in(key, update_index))
            latent = jax.random.normal(latent_key, (size, config.latent))
            label = part.get("label")
            fake, _ = apply(generator, params["generator"], extra["generator"], latent, label)
            gradient, (statistics, metrics) = mean(
                jax.grad(discriminator_loss, has_aux=True)(
                    params_d, statistics, part["image"], fake, label, penalty_key
                )
            )
            metrics["discriminator_gradient_norm"] = optax.tree.norm(gradient)
            params_d, opt_state_d = update("discriminator", gradient, params_d, opt_state_d)
            return (params_d, opt_state_d, statistics), metrics

        carry = params["discriminator"], opt_state["discriminator"], extra["discriminator"]
        if config.critic_updates == 1:
            carry, metrics = criticise(carry, 0)
        else:
            carry, metrics = jax.lax.scan(criticise, carry, jnp.arange(config.critic_updates))
            metrics = jax.tree.map(lambda metric: metric.mean(0), metrics)
        params_d, opt_state_d, statistics_d = carry

        latent_key = jax.random.fold_in(key, config.critic_updates)
        latent = jax.random.normal(latent_key, (size, config.latent))
        label = jax.tree.map(lambda leaf: leaf[:, -1], parts).get("label")
        gradient, (statistics_g, more) = mean(
            jax.grad(generator_loss, has_aux=True)(
                params["generator"], extra["generator"], params_d, statistics_d, latent, label
            )
        )
        metrics |= more | {"generator_gradient_norm": optax.tree.norm(gradient)}
        params_g, opt_state_g = update(
            "generator", gradient, params["generator"], opt_state["generator"]
        )
        state = TrainState(
            state.step + 1,
            {"generator": params_g, "discriminator": params_d},
            {"generator": opt_state_g, "discriminator": opt_state_d},
            {
                "generator": statistics_g,
                "discriminator": statistics_d,
                "average": averaged(
                    extra["average"],
                    {"params": params_g, "batch_stats": statistics_g},
                    state.step,
                    config.average_decay,
                ),
            },
            state.key,
        )
        return state, metrics

    def init(key: jax.Array, batch: Any) -> TrainState:
        generator_key, discriminator_key, state_key = jax.random.split(key, 3)
        images = batch["image"]
        label = batch.get("label")
        latent = jnp.zeros((len(images), config.latent))
        variables = {
            "generator": generator.init(generator_key, latent, label),
            "discriminator": discriminator.init(discriminator_key, images, label),
        }
        params = {name: variables[name].get("params", {}) for name in variables}
        statistics = {name: variables[name].get("batch_stats", {}) for name in variables}
        return TrainState(
            jnp.zeros((), jnp.int32),
            params,
            {name: optimizers[name].init(params[name]) for name in params},
            {
                **statistics,
                "average": {
                    "params": params["generator"],
                    "batch_stats": statistics["generator"],
                },
            },
            state_key,
        )

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        label = batch.get("label")
        latent = jax.random.normal(step_key(state, 0), (len(batch["image"]), config.latent))
        fake = generate(generator, state, latent, label)
        stored = {
            "params": state.params["discriminator"],
            "batch_stats": state.extra["discriminator"],
        }
        return {
            name: Moments.of(
                discriminator.apply(stored, images, label, use_running_average=True),
                batch["weight"],
            )
            for name, images in (("real_logit", batch["image"]), ("fake_logit", fake))
        }

    return Method(init, train_step, eval_step)


def networks(config: Config) -> tuple[nn.Module, nn.Module]:
    """Returns the generator and the discriminator that `make` takes when it is given none."""
    normalisation = "batch" if config.penalty == "none" else "none"
    return (
        Generator(classes=config.classes),
        Discriminator(normalisation=normalisation, classes=config.classes),
    )


def generate(
    generator: nn.Module, state: TrainState, latent: jax.Array, label: Any = None
) -> jax.Array:
    """Generates images [B, H, W, C] with the averaged parameters and statistics.

    Args:
      generator: the network that `make` was given.
      state: of the training.
      latent: [B, Z].
      label: int [B] when there are classes.
    """
    return generator.apply(state.extra["average"], latent, label, use_running_average=True)


def check(config: Config) -> None:
    """Raises ValueError when a setting is out of its range."""
    if config.latent < 1 or config.critic_updates < 1 or config.classes < 0:
        raise ValueError(f"latent and critic_updates must be positive, got {config}")
    if not 0 <= config.average_decay < 1 or not config.penalty_weight > 0:
        raise ValueError(
            f"average_decay must be in [0, 1) and penalty_weight positive, got {config}"
        )
