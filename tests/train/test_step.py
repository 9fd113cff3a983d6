"""One device, several devices, one step or several in a call: the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import jax_utils
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.train.state import TrainState
from jaxdl.train.step import (
    compile_step,
    data_mesh,
    gradient_step,
    map_examples,
    pmap_step,
    sharing,
)

DATA = jax.random.normal(jax.random.key(9), (50, 3))


def loss(params, extra, key, batch):
    noise = 0.1 * jax.random.normal(key, ())
    error = batch["x"] @ params["w"] - batch["y"] + noise
    return jnp.mean(error**2), (extra + 1.0, {"error": jnp.abs(error).mean()})


def start():
    params = {"w": jnp.array([1.0, -2, 3])}
    return TrainState(
        jnp.zeros((), jnp.int32), params, (), jnp.zeros(()), jax.random.key(4)
    )._replace(opt_state=OPTIMIZER.init(params))


# SGD, because Adam hides a gradient that is wrong by a factor.
OPTIMIZER = optax.sgd(0.1)
STEP = gradient_step(loss, OPTIMIZER)


def batch(size=16, key=0):
    x = jax.random.normal(jax.random.key(key), (size, 3))
    return {"x": x, "y": x.sum(-1)}


def sample(key, data):
    x = data[jax.random.randint(key, (16,), 0, len(data))]
    return {"x": x, "y": x.sum(-1)}


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, numbers(a), numbers(b))


def assert_close(a, b):
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-6, atol=1e-7), numbers(a), numbers(b)
    )


def numbers(state):
    return state._replace(key=jax.random.key_data(state.key))


def test_a_step_by_hand():
    # One example x = [1, 0, 0], y = 1 + noise, w = [3]: loss 4, gradient 2 * 2 x, w' = 3 - 0.1 * 4.
    state = start()._replace(params={"w": jnp.array([3.0, 0, 0])})
    noise = 0.1 * jax.random.normal(jax.random.fold_in(jax.random.fold_in(state.key, 0), 0), ())
    example = {"x": jnp.array([[1.0, 0, 0]]), "y": jnp.array([1.0]) + noise}
    after, metrics = STEP(state, example)
    np.testing.assert_allclose(after.params["w"], [2.6, 0, 0], rtol=1e-6)
    assert after.step == 1
    assert after.extra == 1
    expected = {"loss": 4, "error": 2, "gradient_norm": 4, "parameter_norm": 3, "update_norm": 0.4}
    assert metrics == pytest.approx(expected, rel=1e-6)


def quiet_loss(params, extra, key, batch):
    """Without noise: a microbatch has a key of its own."""
    error = batch["x"] @ params["w"] - batch["y"]
    return jnp.mean(error**2), (extra + jnp.mean(batch["y"]), {"error": jnp.abs(error).mean()})


@pytest.mark.parametrize("devices", [None, 8])
@pytest.mark.parametrize("microbatch", [1, 2])
def test_microbatches_equal_the_whole_batch(microbatch, devices):
    whole = gradient_step(quiet_loss, OPTIMIZER)
    parts = gradient_step(quiet_loss, OPTIMIZER, microbatch=microbatch)
    mesh = devices and data_mesh(devices)
    expected, got = compile_step(whole), compile_step(parts, mesh=mesh)
    a, b = start(), start()
    for key in range(3):
        a, expected_metrics = expected(a, batch(key=key))
        b, metrics = got(b, batch(key=key))
        assert_close(a, b)
        for name, value in expected_metrics.items():
            np.testing.assert_allclose(metrics[name], value, rtol=2e-6, err_msg=name)


def test_the_keys_of_microbatches_do_not_depend_on_the_devices():
    parts = gradient_step(loss, OPTIMIZER, microbatch=2)  # with noise
    one, many = compile_step(parts), compile_step(parts, mesh=data_mesh(4))
    a, b = start(), start()
    for _ in range(3):
        (a, _), (b, _) = one(a, batch()), many(b, batch())
        assert_close(a, b)


def test_a_microbatch_that_does_not_divide_is_refused():
    step = compile_step(gradient_step(quiet_loss, OPTIMIZER, microbatch=3))
    with pytest.raises(ValueError, match="microbatch of 3 does not divide the 16"):
        step(start(), batch())


@pytest.mark.parametrize("devices", [None, 4])
@pytest.mark.parametrize("microbatch", [None, 1, 2])
def test_mapped_examples_equal_a_loop(microbatch, devices):
    def function(factor, example):
        return {"sum": factor * example["x"].sum(), "y": example["y"]}

    mapped = map_examples(function, microbatch=microbatch)

    mesh = devices and data_mesh(devices)

    def run(factor, examples):
        with sharing(mesh):
            return mapped(factor, examples)

    examples = batch(8)
    if mesh:
        examples = jax.device_put(examples, NamedSharding(mesh, PartitionSpec("data")))
    got = jax.jit(run)(3.0, examples)
    np.testing.assert_allclose(got["sum"], 3 * examples["x"].sum(1), rtol=1e-6)
    np.testing.assert_array_equal(got["y"], examples["y"])


def test_the_mesh_of_a_batch_has_as_many_cores_as_can_share_it():
    assert [data_mesh(batch=size).size for size in (16, 12, 7, 1)] == [8, 6, 7, 1]
    assert data_mesh(batch=16, independent=False).size == 1


def test_several_steps_a_call_equal_single_ones():
    one, many = (
        compile_step(STEP, sample=sample),
        compile_step(STEP, sample=sample, steps_per_call=4),
    )
    a, b, losses = start(), start(), []
    for _ in range(4):
        a, metrics = one(a, DATA)
        assert metrics["loss"].shape == (1,)
        losses += metrics["loss"].tolist()
    b, metrics = many(b, DATA)
    assert_equal(a, b)
    assert metrics["loss"].tolist() == losses
    assert len(set(losses)) == 4  # a new batch every time


def test_fed_batches_and_eager_equal_sampled_ones():
    state, eager = start(), start()
    for _ in range(3):
        key = jax.random.fold_in(jax.random.fold_in(eager.key, eager.step), 1)
        drawn = sample(key, DATA)
        eager, _ = STEP(eager, drawn)
        state, _ = compile_step(STEP)(state, drawn)
    sampled, _ = compile_step(STEP, sample=sample, steps_per_call=3)(start(), DATA)
    assert_close(state, sampled)
    assert_close(eager, sampled)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[batch(key=k) for k in range(3)])
    together, _ = compile_step(STEP, steps_per_call=3)(start(), stacked)
    alone = start()
    for k in range(3):
        alone, _ = compile_step(STEP)(alone, batch(key=k))
    assert_close(together, alone)


@pytest.mark.parametrize("devices", [1, 2, 8])
def test_any_number_of_devices_gives_the_numbers_of_one(devices):
    expected, got = start(), start()
    one = compile_step(STEP, sample=sample, steps_per_call=2)
    some = compile_step(STEP, sample=sample, steps_per_call=2, mesh=data_mesh(devices))
    for _ in range(5):
        expected, wanted = one(expected, DATA)
        got, metrics = some(got, DATA)
        jax.block_until_ready(got.params)  # fake devices deadlock when calls pile up
    assert_close(got, expected)
    np.testing.assert_allclose(metrics["loss"], wanted["loss"], rtol=1e-5)


def test_pmap_equals_one_device_that_takes_the_parts_in_turn():
    devices = jax.local_device_count()
    assert devices == 8
    parts = gradient_step(loss, OPTIMIZER, microbatch=16 // devices)
    parallel = pmap_step(gradient_step(loss, OPTIMIZER, axis_name="data"))
    many, one = jax_utils.replicate(start()), start()
    for k in range(5):
        many, metrics = parallel(many, batch(key=k))
        jax.block_until_ready(many.params)
        one, wanted = compile_step(parts)(one, batch(key=k))
        np.testing.assert_allclose(metrics["loss"], np.full(8, wanted["loss"][0]), rtol=1e-5)
    assert_close(jax_utils.unreplicate(many), one)


def test_a_batch_that_devices_cannot_share_names_the_nearest_sizes():
    for call, state in (
        (compile_step(STEP, mesh=data_mesh(8)), start()),
        (pmap_step(gradient_step(loss, OPTIMIZER, axis_name="data")), start()),
    ):
        with pytest.raises(ValueError, match=r"batch of 18 cannot be shared evenly by 8.*16 or 24"):
            call(state, batch(18))


def test_the_state_is_donated():
    state = jax.device_put(start())
    compile_step(STEP)(state, batch())
    assert state.params["w"].is_deleted()


def test_data_are_an_argument_of_the_program():
    text = str(jax.make_jaxpr(compile_step(STEP, sample=sample))(start(), DATA))
    assert "f32[50,3]" in text
    consts = jax.make_jaxpr(compile_step(STEP, sample=sample))(start(), DATA).consts
    assert all(np.size(const) < 50 for const in consts)
