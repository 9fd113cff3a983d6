"""GANomaly against PyTorch's numbers, which pytorch_ganomaly.py beside this file made."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.methods.gan import ganomaly

CONFIG = ganomaly.Config(size=16, latent=6, features=4)


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).with_name("pytorch_ganomaly.npz"), allow_pickle=False) as file:
        return dict(file)


def tree(stored, prefix):
    names = [name for name in stored if name.startswith(prefix)]
    flat = {name.removeprefix(prefix): jnp.asarray(stored[name]) for name in names}
    return unflatten_dict(flat, sep="/")


def test_the_networks(stored):
    with jax.enable_x64(True):
        params = tree(stored, "before/")
        images = jnp.asarray(stored["image"])
        generator, discriminator = ganomaly.networks(CONFIG)
        made, judged = (
            jax.jit(partial(network.apply, mutable=["batch_stats"]))(
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
        got, expected = flatten_dict(after.params), flatten_dict(tree(stored, "after/"))
        assert got.keys() == expected.keys()
        for path, values in expected.items():
            np.testing.assert_allclose(got[path], values, atol=1e-9, err_msg=str(path))
