"""Steps of two players, against updates written out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import jax_utils

from jaxdl.train.players import Turn, by_player, players_step, together
from jaxdl.train.state import TrainState
from jaxdl.train.step import compile_step, data_mesh, pmap_step

NAMES = ("left", "right")
RATES = {"left": 0.1, "right": 0.2}
OPTIMIZERS = {name: optax.sgd(rate) for name, rate in RATES.items()}


def losses(params, extra, key, batch):
    """Of one number each: left wants their product to be the example's, right wants it large."""
    del key
    product = params["left"] * params["right"]
    error = ((product - batch["x"]) ** 2).mean()
    seen = {"left": {"seen": extra["left"]["seen"] + batch["x"].mean()}}
    return {"left": error, "right": -product}, (seen, {"error": error})


def alone(name):
    """The same, of one player whose loss needs not be asked for the other's."""

    def own(params, extra, key, batch):
        found, more = losses(params, extra, key, batch)
        return {name: found[name]}, more

    return own


def start():
    params = {"left": jnp.float32(2), "right": jnp.float32(3)}
    extra = {
        "left": {"seen": jnp.float32(0)},
        "right": {},
        "average": {"params": params["left"], "batch_stats": {"seen": jnp.float32(0)}},
        "count": jnp.int32(7),
    }
    state = TrainState.start(params, together(OPTIMIZERS), extra, jax.random.key(0))
    return jax.tree.map(jnp.copy, state)  # a call donates it


def slopes(left, right, x):
    """Of left's loss by left and of right's by right."""
    return 2 * right * np.mean(left * right - x), -left


def test_simultaneous_players_move_from_where_both_were():
    x = np.arange(8.0, dtype=np.float32)
    step = players_step([Turn(losses, NAMES)], OPTIMIZERS)
    after, metrics = jax.jit(step)(start(), {"x": x})
    of_left, of_right = slopes(2, 3, x)
    np.testing.assert_allclose(after.params["left"], 2 - 0.1 * of_left, rtol=1e-6)
    np.testing.assert_allclose(after.params["right"], 3 - 0.2 * of_right, rtol=1e-6)
    np.testing.assert_allclose(metrics["left_gradient_norm"], abs(of_left), rtol=1e-6)
    np.testing.assert_allclose(metrics["right_gradient_norm"], abs(of_right), rtol=1e-6)
    np.testing.assert_allclose(metrics["error"], ((6 - x) ** 2).mean(), rtol=1e-6)
    assert after.step == 1
    assert after.extra["left"]["seen"] == x.mean()
    assert after.extra["count"] == 7


def test_turns_see_what_the_turns_before_them_changed():
    """Right moves three times, each on every third example, then left on the last of each three."""
    x = np.arange(12.0, dtype=np.float32)
    turns = [Turn(alone("right"), ("right",), 3), Turn(alone("left"), ("left",))]
    step = players_step(turns, OPTIMIZERS, average="left", average_decay=0.9)
    after, metrics = jax.jit(step)(start(), {"x": x})
    left, right, seen, errors = 2.0, 3.0, 0.0, []
    for update in range(3):
        part = x.reshape(4, 3)[:, update]
        errors.append(((left * right - part) ** 2).mean())
        seen += part.mean()
        right -= 0.2 * slopes(left, right, part)[1]
    part = x.reshape(4, 3)[:, 2]
    error = ((left * right - part) ** 2).mean()
    left -= 0.1 * slopes(left, right, part)[0]
    seen += part.mean()
    np.testing.assert_allclose(after.params["right"], right, rtol=1e-5)
    np.testing.assert_allclose(after.params["left"], left, rtol=1e-5)
    np.testing.assert_allclose(after.extra["left"]["seen"], seen, rtol=1e-6)
    # A metric of both is the later turn's.
    np.testing.assert_allclose(metrics["error"], error, rtol=1e-5)
    # Of the first step a tenth is kept, (1 + 0) / (10 + 0).
    average = after.extra["average"]
    np.testing.assert_allclose(average["params"], 0.1 * 2 + 0.9 * left, rtol=1e-5)
    np.testing.assert_allclose(average["batch_stats"]["seen"], 0.9 * seen, rtol=1e-5)


def test_metrics_are_means_over_the_updates_and_each_has_a_key_of_its_own():
    keys = []

    def drawn(params, extra, key, batch):
        keys.append(key)
        value = jax.random.uniform(key)
        return {"left": 0.0 * params["left"]}, ({}, {f"drawn {len(batch['x'])}": value})

    turns = [Turn(drawn, ("left",), 2)]
    _, metrics = players_step(turns, OPTIMIZERS)(start(), {"x": jnp.zeros(8)})
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 0), 0)
    both = [jax.random.uniform(jax.random.fold_in(key, update)) for update in range(2)]
    np.testing.assert_allclose(metrics["drawn 4"], np.mean(both), rtol=1e-6)


@pytest.mark.parametrize("updates", [1, 2])
def test_one_device_equals_eight_and_pmap(updates):
    x = jax.random.normal(jax.random.key(1), (16,))
    turns = [Turn(alone("right"), ("right",), updates), Turn(losses, NAMES)]

    def made(axis_name=None):
        return players_step(
            turns, OPTIMIZERS, axis_name=axis_name, average="left", average_decay=0.9
        )

    def numbers(state, metrics):
        return jax.device_get((state.params, state.extra, metrics))

    one = numbers(*compile_step(made())(start(), {"x": x}))
    eight = numbers(*compile_step(made(), mesh=data_mesh(8))(start(), {"x": x}))
    copies = numbers(*pmap_step(made("data"))(jax_utils.replicate(start()), {"x": x}))
    for other in (eight, copies):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=1e-5),
            other,
            one,
        )


def test_one_optimizer_is_that_of_all_players():
    sgd, adam = optax.sgd(0.1), optax.adam(0.1)
    assert by_player(NAMES, sgd) == {"left": sgd, "right": sgd}
    assert by_player(NAMES, (sgd, adam)) == {"left": sgd, "right": adam}
    with pytest.raises(ValueError, match="shorter"):
        by_player(NAMES, (sgd,))


def test_optimizers_together_are_each_players_own():
    both = together({"left": optax.adam(0.1), "right": optax.sgd(1.0)})
    params = {"left": jnp.float32(1), "right": jnp.float32(2)}
    change, state = both.update({"left": 3.0, "right": 4.0}, both.init(params), params)
    own = optax.adam(0.1)
    expected, kept = own.update(3.0, own.init(params["left"]), params["left"])
    assert change == {"left": expected, "right": -4.0}
    jax.tree.map(np.testing.assert_array_equal, state["left"], kept)
