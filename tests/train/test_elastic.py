"""A run may go on with another number of devices than it began with."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.supervised import classifier
from jaxdl.nn.classify import CNN
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.step import compile_step, data_mesh

DATA = {
    "image": jax.random.uniform(jax.random.key(0), (40, 8, 8, 1)),
    "label": jnp.arange(40) % 3,
}
METHOD = classifier.make(
    classifier.Config(classes=3, noise=0.1),
    network=CNN(((4,),), (), 3, batch_norm=True),
    optimizer=optax.sgd(0.1, momentum=0.9),
)


def sample(key, data):
    index = jax.random.randint(key, (8,), 0, 40)
    return jax.tree.map(lambda leaf: leaf[index], data)


def steps(state, devices):
    call = compile_step(METHOD.train_step, mesh=data_mesh(devices), sample=sample, steps_per_call=3)
    state, metrics = call(state, DATA)
    return jax.block_until_ready(state), metrics["loss"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with the checkpoint of eight devices after 3 steps, and what comes next there."""
    folder = tmp_path_factory.mktemp("eight")
    state, _ = steps(jax.jit(METHOD.init)(jax.random.key(0), sample(jax.random.key(1), DATA)), 8)
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(state, metadata={})
    return folder, steps(state, 8)


@pytest.mark.parametrize("devices", [1, 2, 4, 8])
def test_eight_devices_began_and_others_go_on(saved, devices):
    folder, (expected, losses) = saved
    template = jax.jit(METHOD.init)(jax.random.key(5), sample(jax.random.key(6), DATA))
    with Checkpoints(folder) as checkpoints:
        state, _ = checkpoints.restore(template)
    assert state.step == 3
    found, found_losses = steps(state, devices)
    np.testing.assert_allclose(found_losses, losses, rtol=1e-5)  # of the same images
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        (found.params, found.opt_state, found.extra),
        (expected.params, expected.opt_state, expected.extra),
    )
