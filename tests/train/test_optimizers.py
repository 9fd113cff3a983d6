"""What Optax lacks, against its limits; and all of them by name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.train import optimizers
from jaxdl.train.optimizers import OPTIMIZERS, OWN_RATES

PARAMS = {"kernel": jnp.array([[1.0, -2.0], [0.5, 3.0]]), "bias": jnp.array([0.3, -0.1])}


def loss(params, target=0.0):
    scale = jnp.array([[1.0, 4.0], [0.3, 1.0]])
    return (scale * (params["kernel"] - target) ** 2).sum() + (params["bias"] ** 2).sum()


def walk(optimizer, steps, params=PARAMS, gradient=None):
    """Returns the parameters after each step."""
    gradient = gradient or (lambda params, t: jax.grad(loss)(params))

    @jax.jit
    def step(carry, t):
        params, state = carry
        change, state = optimizer.update(gradient(params, t), state, params)
        params = optax.apply_updates(params, change)
        return (params, state), params

    (_, state), path = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(steps))
    return path, state


def close(a, b, **tolerance):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), a, b)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_descends(name):
    rate = {"adadelta": 5.0, "adagrad": 0.3}.get(name, 0.03)
    optimizer = optimizers.build(name, rate)
    path, _ = walk(optimizer, 60)
    losses = jax.vmap(loss)(path)
    assert losses[-1] < 0.7 * loss(PARAMS)
    assert np.isfinite(losses).all()


def test_triangles():
    schedule = optimizers.triangular(0.1, 0.5, 4)
    np.testing.assert_allclose(
        [schedule(step) for step in (0, 1, 4, 6, 8, 12)], [0.1, 0.2, 0.5, 0.3, 0.1, 0.5], rtol=1e-6
    )


def test_adabound_is_sgd_when_its_bounds_are_closed():
    closed = optimizers.adabound(0.01, 0.1, gamma=1e6)
    limit = optax.chain(optax.ema(0.9, debias=False), optax.scale(-0.1))
    close(walk(closed, 20)[0], walk(limit, 20)[0], rtol=1e-3, atol=1e-4)


def test_adabound_is_adam_while_its_bounds_are_wide():
    wide = optimizers.adabound(0.01, 0.1, gamma=1e-9)
    close(walk(wide, 20)[0], walk(optax.adam(0.01), 20)[0], rtol=1e-4, atol=1e-5)


def test_adabounds_first_step_by_hand():
    # Adam's rate is 0.01 sqrt(0.001) / 0.1 / (sqrt(0.001) |g|) = 0.1 / |g|, of m = 0.1 g; the
    # bounds are 0.1 (1 - 1 / 2) and 0.1 (1 + 1).
    optimizer = optimizers.adabound(0.01, 0.1, gamma=1.0)
    gradient = jnp.array([10.0, -1.0, 0.1])
    change, _ = optimizer.update(gradient, optimizer.init(gradient))
    np.testing.assert_allclose(change, [-0.05, 0.01, -0.002], rtol=1e-4)


def test_swats_switches_once_and_keeps_its_rate():
    optimizer = optimizers.swats(0.01, tolerance=1e-6)
    params, state = PARAMS, optimizer.init(PARAMS)
    rates, changes, gradients = [], [], []
    update = jax.jit(optimizer.update)
    for _ in range(300):
        gradient = jax.grad(loss)(params)
        change, state = update(gradient, state, params)
        params = optax.apply_updates(params, change)
        rates.append(float(state.rate))
        changes.append(change["bias"])
        gradients.append(gradient["bias"])
    switch = next(step for step, rate in enumerate(rates) if rate)
    assert 1 < switch < 200
    assert set(rates[:switch]) == {0.0}
    assert len(set(rates[switch:])) == 1
    adam, _ = walk(optax.adam(0.01, eps=1e-9), switch + 1)
    np.testing.assert_allclose(
        PARAMS["bias"] + sum(changes[: switch + 1]), adam["bias"][-1], rtol=1e-4
    )
    # SGD from then on, with a velocity that begins at 0.
    velocity = 0
    for step in range(switch + 1, 300):
        velocity = 0.9 * velocity + gradients[step]
        np.testing.assert_allclose(changes[step], -0.1 * rates[-1] * velocity, rtol=1e-3, atol=1e-7)


def test_swats_rate_is_that_of_a_projection():
    # With one parameter, SGD's rate that makes Adam's first change is rate / |g|.
    optimizer = optimizers.swats(0.01)
    _, state = optimizer.update(jnp.array([4.0]), optimizer.init(jnp.array([1.0])))
    np.testing.assert_allclose(state.average / (1 - 0.999), 0.01 / 4, rtol=1e-3)
    _, still = optimizer.update(jnp.array([0.0]), optimizer.init(jnp.array([1.0])))
    assert still.average == 0  # no direction, no rate


def test_lookahead_is_optaxs():
    pairs = optax.lookahead(optax.sgd(0.05), 5, 0.5)
    both = optax.LookaheadParams.init_synced(PARAMS)
    state = pairs.init(both)
    ours, _ = walk(optimizers.lookahead(optax.sgd(0.05)), 12)
    for step in range(12):
        change, state = pairs.update(jax.grad(loss)(both.fast), state, both)
        both = optax.apply_updates(both, change)
        close(jax.tree.map(lambda leaf, t=step: leaf[t], ours), both.fast, rtol=1e-5)


def test_weight_decay_is_of_kernels_and_beside_the_optimizer():
    # Without a gradient only the decay is left.
    nothing = {"gradient": lambda params, t: optax.tree.zeros_like(params)}
    for name in ("sgd", "adam"):
        path, _ = walk(optimizers.build(name, 0.1, weight_decay=0.5), 1, **nothing)
        np.testing.assert_allclose(path["kernel"][0], (1 - 0.1 * 0.5) * PARAMS["kernel"])
        np.testing.assert_array_equal(path["bias"][0], PARAMS["bias"])
    ours, _ = walk(optimizers.build("adam", 0.1, weight_decay=0.5), 10)
    kernels = jax.tree.map(lambda leaf: leaf.ndim > 1, PARAMS)
    theirs, _ = walk(optax.adamw(0.1, weight_decay=0.5, mask=kernels), 10)
    close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_clipping_is_of_the_whole_gradient():
    path, _ = walk(optimizers.build("sgd", 1.0, clip=0.5), 1)
    step = jax.tree.map(lambda after, before: after[0] - before, path, PARAMS)
    np.testing.assert_allclose(optax.tree.norm(step), 0.5, rtol=1e-5)


def test_schedules():
    for kind, values in (
        ("constant", [0.0, 0.4, 0.8, 0.8, 0.8]),
        ("linear", [0.0, 0.4, 0.8, 0.6, 0.2]),
        ("cosine", [0.0, 0.4, 0.8, 0.4 * (1 + 0.5**0.5), 0.4 * (1 - 0.5**0.5)]),
    ):
        schedule = optimizers.schedule(kind, 0.8, 100, 20)
        np.testing.assert_allclose(
            [schedule(step) for step in (0, 10, 20, 40, 80)], values, atol=1e-6
        )
    triangles = optimizers.schedule("triangular", 1.0, 80)
    np.testing.assert_allclose([triangles(s) for s in (0, 10, 20, 70)], [0.1, 1, 0.1, 1], rtol=1e-5)
    with pytest.raises(ValueError, match="warmup"):
        optimizers.schedule("cosine", 1.0, 10, 10)


@pytest.mark.parametrize("name", OWN_RATES)
def test_own_rates_take_no_schedule(name):
    with pytest.raises(ValueError, match="changes its rates by itself"):
        optimizers.build(name, optax.constant_schedule(0.1))
