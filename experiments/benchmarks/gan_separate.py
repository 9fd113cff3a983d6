"""The updates of GANomaly and DCGAN as two programs each, as written without a fused step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxdl.train.state import averaged, step_key

ADAM = optax.adam(2e-4, b1=0.5)


def ganomaly(config: Any, networks: Any) -> tuple[Callable, Callable]:
    """Returns GANomaly's two updates; the first leaves its images in `extra["made"]`."""
    generator, discriminator = networks

    def generate(state, batch):
        images, judge = batch["image"], state.params["discriminator"]
        statistics = state.extra["statistics"]

        def loss(params):
            (made, again, latent), seen = _apply(generator, params, statistics["generator"], images)
            real, fake = (
                _apply(discriminator, judge, statistics["discriminator"], shown)[0][1]
                for shown in (images, made)
            )
            value = (
                config.adversarial_weight * jnp.mean((real - fake) ** 2)
                + config.reconstruction_weight * jnp.mean(jnp.abs(made - images))
                + config.latent_weight * jnp.mean((again - latent) ** 2)
            )
            return value, (made, seen)

        (value, (made, seen)), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params["generator"]
        )
        state = _updated(state, "generator", gradient)
        extra = state.extra | {"made": made, "statistics": statistics | {"generator": seen}}
        return state._replace(extra=extra), {"generator_loss": value}

    def judge(state, batch):
        statistics = state.extra["statistics"]

        def loss(params):
            seen, losses = statistics["discriminator"], []
            for shown, sign in ((batch["image"], -1), (state.extra["made"], 1)):
                (logit, _), seen = _apply(discriminator, params, seen, shown)
                losses.append(jax.nn.softplus(sign * logit).mean())
            return 0.5 * sum(losses), seen

        (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params["discriminator"]
        )
        state = _updated(state, "discriminator", gradient)
        extra = state.extra | {"statistics": statistics | {"discriminator": seen}}
        return state._replace(step=state.step + 1, extra=extra), {"discriminator_loss": value}

    return generate, judge


def gan(config: Any, networks: Any) -> tuple[Callable, Callable]:
    """Returns DCGAN's two updates, each generating images of its own."""
    generator, discriminator = networks

    def latent(state, batch, purpose):
        return jax.random.normal(step_key(state, purpose), (len(batch["image"]), config.latent))

    def judge(state, batch):
        made, _ = _apply(
            generator,
            state.params["generator"],
            state.extra["generator"],
            latent(state, batch, 2),
        )

        def loss(params):
            real, seen = _apply(discriminator, params, state.extra["discriminator"], batch["image"])
            fake, seen = _apply(discriminator, params, seen, made)
            return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean(), seen

        (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params["discriminator"]
        )
        state = _updated(state, "discriminator", gradient)
        extra = state.extra | {"discriminator": seen}
        return state._replace(extra=extra), {"discriminator_loss": value}

    def generate(state, batch):
        def loss(params):
            made, seen = _apply(
                generator, params, state.extra["generator"], latent(state, batch, 3)
            )
            logit, _ = _apply(
                discriminator, state.params["discriminator"], state.extra["discriminator"], made
            )
            return jax.nn.softplus(-logit).mean(), seen

        (value, seen), gradient = jax.value_and_grad(loss, has_aux=True)(state.params["generator"])
        state = _updated(state, "generator", gradient)
        average = averaged(
            state.extra["average"],
            {"params": state.params["generator"], "batch_stats": seen},
            state.step,
            config.average_decay,
        )
        extra = state.extra | {"generator": seen, "average": average}
        return state._replace(step=state.step + 1, extra=extra), {"generator_loss": value}

    return judge, generate


def _updated(state: Any, name: str, gradient: Any) -> Any:
    change, own = ADAM.update(gradient, state.opt_state[name], state.params[name])
    params = state.params | {name: optax.apply_updates(state.params[name], change)}
    return state._replace(params=params, opt_state=state.opt_state | {name: own})


def _apply(module: Any, params: Any, statistics: Any, inputs: Any) -> tuple[Any, Any]:
    variables = {"params": params, "batch_stats": statistics}
    out, seen = module.apply(variables, inputs, train=True, mutable=["batch_stats"])
    return out, seen["batch_stats"]
