"""Optax's L-BFGS, which asks for the value, the gradient and the loss itself, in our step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import jax_utils

from jaxdl.ops.landscapes import rosenbrock
from jaxdl.train.state import TrainState
from jaxdl.train.step import compile_step, data_mesh, gradient_step, pmap_step


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def minimised(loss, params, batch, steps):
    optimizer = optax.lbfgs()
    state = TrainState.start(params, optimizer, (), jax.random.key(0))
    step = compile_step(
        gradient_step(loss, optimizer), sample=lambda key, data: data, steps_per_call=steps
    )
    return step(state, batch)


def test_rosenbrocks_valley_is_walked_to_its_end():
    def loss(params, extra, key, batch):
        return rosenbrock(params), (extra, {})

    start = jnp.array([-1.5, 2.0])
    assert start.dtype == jnp.float64
    state, metrics = minimised(loss, start, jnp.zeros(1), 60)
    np.testing.assert_allclose(state.params, [1, 1], atol=1e-10)
    assert metrics["loss"][-1] < 1e-20
    assert state.step == 60


def test_a_regression_equals_least_squares():
    rng = np.random.default_rng(0)
    inputs, wanted = rng.normal(size=(40, 5)), rng.normal(size=40)

    def loss(params, extra, key, batch):
        found = batch["x"] @ params["weight"] + params["bias"]
        return ((found - batch["y"]) ** 2).mean(), (extra, {"largest": found.max()})

    params = {"weight": jnp.zeros(5), "bias": jnp.zeros(())}
    batch = {"x": jnp.asarray(inputs), "y": jnp.asarray(wanted)}
    state, metrics = minimised(loss, params, batch, 40)
    expected = np.linalg.lstsq(np.c_[inputs, np.ones(40)], wanted)[0]
    np.testing.assert_allclose(state.params["weight"], expected[:-1], atol=1e-10)
    np.testing.assert_allclose(state.params["bias"], expected[-1], atol=1e-10)
    assert metrics["gradient_norm"][-1] < 1e-9


@pytest.mark.parametrize("microbatch", [None, 4])
def test_devices_walk_as_one(microbatch):
    """The devices of a mapped axis must follow one slope, or they wait for one another for ever."""
    rng = np.random.default_rng(0)
    batch = {"x": jnp.asarray(rng.normal(size=(64, 3))), "y": jnp.asarray(rng.normal(size=64))}

    def loss(params, extra, key, batch):
        found = batch["x"] @ params
        return ((found - batch["y"]) ** 2).mean() + 0.1 * (params**4).sum(), (extra, {})

    def step(axis_name):
        return gradient_step(loss, optax.lbfgs(), axis_name=axis_name, microbatch=microbatch)

    def start():
        return TrainState.start(jnp.ones(3), optax.lbfgs(), (), jax.random.key(0))

    def walked(call, state):
        for _ in range(4):
            state, metrics = call(state, batch)
            jax.block_until_ready(state)
        return state.params, metrics["loss"]

    params, loss_at_end = walked(compile_step(step(None)), start())
    for found, value in (
        walked(compile_step(step(None), mesh=data_mesh(8)), start()),
        walked(pmap_step(step("data")), jax_utils.replicate(start())),
    ):
        np.testing.assert_allclose(found, np.broadcast_to(params, found.shape), atol=1e-9)
        np.testing.assert_allclose(value, np.broadcast_to(loss_at_end, value.shape), atol=1e-9)
