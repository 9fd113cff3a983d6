"""What GAN, GANomaly and the autoencoder promise, on small networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.traverse_util import flatten_dict

from jaxdl.methods.gan import autoencoder, gan, ganomaly
from jaxdl.nn.gan import Discriminator, MLPDiscriminator, MLPGenerator
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest
from jaxdl.train.step import compile_step, data_mesh

SMALL = {"size": 16, "latent": 6, "features": 4}


def batch(size, key=0):
    """Blots in [-1, 1], and labels."""
    small = jax.random.uniform(jax.random.key(key), (size, 4, 4, 1), minval=-1, maxval=1)
    return {
        "image": small.repeat(4, 1).repeat(4, 2),
        "label": jnp.arange(size) % 3,
        "weight": jnp.ones(size),
    }


def make_gan(optimizer=None, axis_name=None, normalisation="none", **options):
    config = gan.Config(latent=5, **options)
    networks = (
        MLPGenerator(16, features=(16,), classes=config.classes),
        Discriminator(4, normalisation, classes=config.classes),
    )
    return gan.make(config, network=networks, optimizer=optimizer, axis_name=axis_name)


CASES = {
    "gan": functools.partial(make_gan, normalisation="batch"),
    "spectral": functools.partial(make_gan, normalisation="spectral", loss="hinge"),
    "wgan_gp": functools.partial(
        make_gan, loss="wasserstein", penalty="wgan_gp", critic_updates=2, classes=3
    ),
    "dragan": functools.partial(make_gan, penalty="dragan"),
    "r1": functools.partial(make_gan, penalty="r1", loss="least_squares"),
    "ganomaly": lambda optimizer=None, axis_name=None: ganomaly.make(
        ganomaly.Config(**SMALL), optimizer=optimizer, axis_name=axis_name
    ),
    "autoencoder": lambda optimizer=None, axis_name=None: autoencoder.make(
        autoencoder.Config(**SMALL), optimizer=optimizer, axis_name=axis_name
    ),
}
every_case = pytest.mark.parametrize("case", CASES)
# Those between them have every part of a state.
main_cases = pytest.mark.parametrize("case", ["spectral", "wgan_gp", "ganomaly", "autoencoder"])


@functools.cache
def trained(case):
    method, data = CASES[case](), batch(8)
    step = jax.jit(method.train_step)
    states, logs = [jax.jit(method.init)(jax.random.key(0), data)], []
    for _ in range(6):
        state, metrics = step(states[-1], data)
        states.append(state)
        logs.append(metrics)
    return step, states, logs


@every_case
def test_a_step_changes_every_kernel_and_measures(case):
    _, states, logs = trained(case)
    assert int(states[-1].step) == 6
    ends = [flatten_dict(state.params) for state in (states[0], states[-1])]
    # A last bias may stay: with a hinge, real and generated images pull it equally.
    kernels = [path for path in ends[0] if path[-1] == "kernel"]
    assert kernels
    assert all((ends[0][path] != ends[1][path]).any() for path in kernels)
    assert all(jnp.isfinite(value) for log in logs for value in log.values())


def test_one_device_equals_eight():
    """With what `test_devices` leaves out: latent vectors, and statistics of kernels."""
    data = batch(16)
    # Not Adam, which would hide a gradient that is 8 times too large.
    method, results = CASES["spectral"](optax.sgd(0.01)), []
    for mesh in (None, data_mesh(8)):
        state = jax.jit(method.init)(jax.random.key(0), batch(2))
        state, metrics = compile_step(method.train_step, mesh=mesh)(state, data)
        results.append(jax.device_get((state.params, state.extra, metrics)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5), *results)


@main_cases
def test_a_restored_state_goes_on_as_the_saved_one(case, tmp_path):
    step, states, _ = trained(case)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(states[3], metadata={})
        restored, _ = checkpoints.restore(states[0])
    assert digest(restored) == digest(states[3])
    assert digest(step(restored, batch(8))[0]) == digest(states[4])


@main_cases
def test_evaluation_leaves_padding_out(case):
    method, state = CASES[case](), trained(case)[1][-1]
    data = batch(8)
    whole = jax.jit(method.eval_step)(state, data)
    padded = data | {"weight": jnp.array([1.0] * 5 + [0.0] * 3)}
    part = jax.jit(method.eval_step)(state, padded)
    for name, moments in part.items():
        assert moments.count == 5
        assert whole[name].count == 8
        assert jnp.isfinite(moments.mean)


def test_the_autoencoder_learns():
    method, data = CASES["autoencoder"](optax.adam(1e-2)), batch(8)
    state, step = jax.jit(method.init)(jax.random.key(0), data), jax.jit(method.train_step)
    losses = []
    for _ in range(60):
        state, metrics = step(state, data)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.5 * losses[0]


def test_a_gan_step_is_its_updates_one_after_the_other():
    """Two critic updates and one of the generator, written out with plain gradients."""
    method = make_gan(optax.sgd(0.1), critic_updates=2, average_decay=0.9)
    data = batch(8)
    state = jax.jit(method.init)(jax.random.key(0), data)
    after, metrics = jax.jit(method.train_step)(state, data)
    generator, discriminator = MLPGenerator(16, features=(16,)), Discriminator(4, "none")
    key = jax.random.fold_in(jax.random.fold_in(state.key, 0), 0)
    p_g, p_d = state.params["generator"], state.params["discriminator"]

    def logits(p_d, images):
        return discriminator.apply({"params": p_d}, images)

    def descend(params, gradient):
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    values = []
    for index in range(2):
        latent_key, _ = jax.random.split(jax.random.fold_in(key, index))
        fake = generator.apply({"params": p_g}, jax.random.normal(latent_key, (4, 5)))
        real = data["image"][index::2]

        def loss(p_d, real=real, fake=fake):
            of_real = -jnp.log(jax.nn.sigmoid(logits(p_d, real)))
            return (of_real - jnp.log(1 - jax.nn.sigmoid(logits(p_d, fake)))).mean()

        value, gradient = jax.jit(jax.value_and_grad(loss))(p_d)
        values.append(value)
        p_d = descend(p_d, gradient)
    latent = jax.random.normal(jax.random.fold_in(key, 2), (4, 5))

    def generator_loss(p_g):
        images = generator.apply({"params": p_g}, latent)
        return -jnp.log(jax.nn.sigmoid(logits(p_d, images))).mean()

    p_g = descend(p_g, jax.jit(jax.grad(generator_loss))(p_g))
    expected = {"generator": p_g, "discriminator": p_d}
    # Of the first step a tenth is kept.
    average = jax.tree.map(lambda old, new: 0.1 * old + 0.9 * new, state.params["generator"], p_g)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        (after.params, after.extra["average"]["params"], metrics["discriminator_loss"]),
        (expected, average, sum(values) / 2),
    )


@pytest.mark.parametrize("below", [0.0, 1e3])
def test_a_discriminator_that_has_won_starts_again_and_is_counted(below):
    method = ganomaly.make(ganomaly.Config(**SMALL, restart_below=below))
    data = batch(4)
    state, step = jax.jit(method.init)(jax.random.key(0), data), jax.jit(method.train_step)
    for _ in range(3):
        before, (state, metrics) = state, step(state, data)
    restarts = 3 if below else 0
    assert int(state.extra["restarts"]) == int(metrics["restarts"]) == restarts
    kernel = state.params["discriminator"]["Conv_1"]["kernel"]
    old = before.params["discriminator"]["Conv_1"]["kernel"]
    # Adam's step is 2e-4; a new start is 0.02 away, in most places.
    far = float((jnp.abs(kernel - old) > 1e-3).mean())
    assert far > 0.9 if below else far == 0


def test_ganomaly_updates_both_networks_from_what_they_were():
    config = ganomaly.Config(**SMALL)
    method = ganomaly.make(config, optimizer=optax.sgd(0.05))
    data = batch(4)
    state = jax.jit(method.init)(jax.random.key(0), data)
    after, metrics = jax.jit(method.train_step)(state, data)
    generator, discriminator = ganomaly.networks(config)
    mutable = ["batch_stats"]

    def forward(p_g, p_d, cut=False):
        (made, again, latent), _ = generator.apply(
            {"params": p_g}, data["image"], train=True, mutable=mutable
        )
        shown = jax.lax.stop_gradient(made) if cut else made
        outs = [
            discriminator.apply({"params": p_d}, x, train=True, mutable=mutable)[0]
            for x in (data["image"], shown)
        ]
        return made, again, latent, *outs

    def generator_loss(p_g):
        made, again, latent, (_, real), (_, fake) = forward(p_g, state.params["discriminator"])
        return (
            jnp.mean((real - fake) ** 2)
            + 50 * jnp.mean(jnp.abs(made - data["image"]))
            + jnp.mean((again - latent) ** 2)
        )

    def discriminator_loss(p_d):
        *_, (real, _), (fake, _) = forward(state.params["generator"], p_d, cut=True)
        sigmoid = jax.nn.sigmoid
        return -0.5 * (jnp.log(sigmoid(real)).mean() + jnp.log(1 - sigmoid(fake)).mean())

    for name, loss in (("generator", generator_loss), ("discriminator", discriminator_loss)):
        value, gradient = jax.jit(jax.value_and_grad(loss))(state.params[name])
        np.testing.assert_allclose(metrics[f"{name}_loss"], value, rtol=1e-5)
        jax.tree.map(
            lambda p, g, a: np.testing.assert_allclose(a, p - 0.05 * g, rtol=1e-3, atol=1e-5),
            state.params[name],
            gradient,
            after.params[name],
        )


@pytest.mark.parametrize("case", ["ganomaly", "autoencoder"])
def test_a_score_is_a_distance_of_image_and_reconstruction_and_of_its_image_alone(case):
    """Not of the other images, nor their order, nor how many come at once."""
    state, images = trained(case)[1][-1], batch(8, key=1)["image"]
    predict = jax.jit(CASES[case]().predict)
    together = predict(state, {"image": images})
    assert together.keys() - {"image"} == (
        {"latent", "reconstruction", "feature"} if case == "ganomaly" else {"reconstruction"}
    )
    np.testing.assert_allclose(
        together["reconstruction"], abs(together["image"] - images).mean((1, 2, 3)), rtol=1e-5
    )
    turned = predict(state, {"image": images[::-1]})
    alone = [predict(state, {"image": image[None]}) for image in images]
    for name, values in together.items():
        assert len(values) == 8
        np.testing.assert_allclose(turned[name][::-1], values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose([one[name][0] for one in alone], values, rtol=1e-4, atol=1e-6)


def test_samples_come_from_the_average():
    network = (MLPGenerator(16, features=(16,)), MLPDiscriminator((8,)))
    method = gan.make(gan.Config(latent=5), network=network)
    state = jax.jit(method.init)(jax.random.key(0), batch(4))
    after, _ = jax.jit(method.train_step)(state, batch(4))
    latent = jax.random.normal(jax.random.key(1), (3, 5))
    # Of the first step a tenth is kept, (1 + 0) / (10 + 0).
    moved = jax.tree.map(
        lambda a, b: 0.1 * a + 0.9 * b, state.params["generator"], after.params["generator"]
    )
    np.testing.assert_allclose(
        method.predict(after, {"latent": latent})["image"],
        network[0].apply({"params": moved}, latent),
        atol=1e-6,
    )


def test_ganomalys_generator_learns():
    method, data = CASES["ganomaly"](optax.adam(3e-3)), batch(8)
    state, step = jax.jit(method.init)(jax.random.key(0), data), jax.jit(method.train_step)
    losses = []
    for _ in range(60):
        state, metrics = step(state, data)
        losses.append(float(metrics["generator_loss"]))
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize(
    "wrong", [{"latent": 0}, {"critic_updates": 0}, {"average_decay": 1.0}, {"penalty_weight": 0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        gan.make(gan.Config(**wrong))
