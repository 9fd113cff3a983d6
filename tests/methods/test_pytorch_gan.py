"""GAN networks against PyTorch's numbers, which pytorch_gan*.py beside this file made."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.methods.gan import ganomaly
from jaxdl.nn.gan import Discriminator
from jaxdl.ops import adversarial

CONFIG = ganomaly.Config(size=16, latent=6, features=4)


def load(name):
    with np.load(Path(__file__).with_name(name), allow_pickle=False) as file:
        return dict(file)


@pytest.fixture(scope="module")
def stored():
    return load("pytorch_ganomaly.npz")


@pytest.fixture(scope="module")
def regularised():
    return load("pytorch_gan.npz")


def tree(stored, prefix):
    names = [name for name in stored if name.startswith(prefix)]
    flat = {name.removeprefix(prefix): jnp.asarray(stored[name]) for name in names}
    return unflatten_dict(flat, sep="/")


def assert_close(got, expected):
    got, expected = flatten_dict(got, sep="/"), flatten_dict(expected, sep="/")
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, atol=1e-9, err_msg=name)


def test_the_networks(stored):
    with jax.enable_x64(True):
        params = tree(stored, "before/")
        images = jnp.asarray(stored["image"])
        generator, discriminator = ganomaly.networks(CONFIG)
        made, judged = (
            jax.jit(partial(network.apply, train=True, mutable=["batch_stats"]))(
                {"params": params[name]}, images
            )[0]
            for name, network in (("generator", generator), ("discriminator", discriminator))
        )
        names = ("reconstructed", "again", "latent", "logit", "features")
        for name, got in zip(names, (*made, *judged), strict=True):
            np.testing.assert_allclose(got, stored[f"forward/{name}"], atol=1e-9)


def test_losses_and_one_update_of_both(stored):
    with jax.enable_x64(True):
        method = ganomaly.make(CONFIG)
        batch = {"image": jnp.asarray(stored["image"])}
        state = jax.jit(method.init)(jax.random.key(0), batch)
        state = jax.tree.map(
            lambda leaf: leaf.astype(float) if leaf.dtype == jnp.float32 else leaf, state
        )
        state = state._replace(params=tree(stored, "before/"))
        after, metrics = jax.jit(method.train_step)(state, batch)
        for name, loss in tree(stored, "loss/").items():
            np.testing.assert_allclose(metrics[name], loss, rtol=1e-9)
        assert_close(after.params, tree(stored, "after/"))


def test_spectral_normalisation(regularised):
    with jax.enable_x64(True):
        network = Discriminator(features=4, normalisation="spectral")
        images = jnp.asarray(regularised["image"])
        names = ("Conv_0", "Conv_1", "Dense_0")

        def statistics(prefix):
            return [jnp.asarray(regularised[f"spectral/{prefix}/{i}"]) for i in range(3)]

        before = {
            f"SpectralNorm_{i}": {
                f"{name}/kernel/u": u[None],
                f"{name}/kernel/sigma": jnp.ones(()),
            }
            for i, (name, u) in enumerate(zip(names, statistics("u"), strict=True))
        }

        @jax.jit
        def loss(params):
            variables = {"params": params, "batch_stats": before}
            logits, seen = network.apply(variables, images, train=True, mutable=["batch_stats"])
            return jax.nn.softplus(-logits).mean(), (logits, seen["batch_stats"])

        params = tree(regularised, "spectral/params/")
        gradient, (logits, after) = jax.grad(loss, has_aux=True)(params)
        np.testing.assert_allclose(logits, regularised["spectral/logits"], atol=1e-9)
        assert_close(gradient, tree(regularised, "spectral/gradient/"))
        for i, (name, u) in enumerate(zip(names, statistics("next_u"), strict=True)):
            np.testing.assert_allclose(after[f"SpectralNorm_{i}"][f"{name}/kernel/u"][0], u)


@pytest.mark.parametrize("name", ["gradient_penalty", "r1"])
def test_penalties_and_their_gradients(regularised, name):
    with jax.enable_x64(True):
        network = Discriminator(features=4, normalisation="none")
        images = jnp.asarray(regularised["image"])

        @jax.jit
        def mean(params):
            penalty = getattr(adversarial, name)(
                lambda images: network.apply({"params": params}, images), images
            )
            return penalty.mean(), penalty

        gradient, penalty = jax.grad(mean, has_aux=True)(tree(regularised, "penalty/params/"))
        np.testing.assert_allclose(penalty, regularised[f"penalty/{name}"], atol=1e-9)
        assert_close(gradient, tree(regularised, f"penalty/{name}_gradient/"))
