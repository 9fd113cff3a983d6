"""Optax's L-BFGS, which asks for the value, the gradient and the loss itself, in our step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.ops.landscapes import rosenbrock
from jaxdl.train.state import TrainState
from jaxdl.train.step import compile_step, gradient_step


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
