import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops.metrics import Moments
from jaxdl.train.evaluation import compile_evaluation, map_batches, sum_batches
from jaxdl.train.step import data_mesh

DATA = jnp.arange(10.0)


def sample(key, data):
    return {"value": data[jax.random.randint(key, (), 0, 10)]}


def eval_step(state, batch):
    return {"value": Moments.of(state * batch["value"], batch["weight"])}


def by_hand(count):
    key = jax.random.key(0)
    return [float(sample(jax.random.fold_in(key, i), DATA)["value"]) for i in range(count)]


@pytest.mark.parametrize("count", [1, 7, 8, 20])
def test_any_count_and_any_number_of_devices_gives_the_same_examples(count):
    expected = by_hand(count)
    for devices, per_call in ((None, 8), (None, 3), (4, 8)):
        mesh = devices and data_mesh(devices)
        evaluate = compile_evaluation(eval_step, sample, per_call=per_call, mesh=mesh)
        got = evaluate(jnp.array(2.0), DATA, jax.random.key(0), count)["value"]
        assert got.count == count
        np.testing.assert_allclose(got.mean, 2 * np.mean(expected), rtol=1e-6)
        if count > 1:
            half_width = 1.96 * np.std(np.multiply(2, expected), ddof=1) / count**0.5
            np.testing.assert_allclose(got.ci95, half_width, rtol=1e-6)


@pytest.mark.parametrize("count", [1, 4, 7, 8])
def test_any_number_of_examples_goes_through_one_program(count):
    traced = []

    @jax.jit
    def function(part):
        traced.append(part.shape)
        return {"double": 2 * part, "sum": part.sum(1)}

    examples = np.arange(3.0 * count, dtype=np.float32).reshape(count, 3)
    found = map_batches(function, examples, 4)
    np.testing.assert_array_equal(found["double"], 2 * examples)
    np.testing.assert_array_equal(found["sum"], examples.sum(1))
    assert traced == [(4, 3)]


@pytest.mark.parametrize("count", [1, 4, 7, 8])
def test_what_fills_the_last_batch_does_not_count(count):
    examples = {"value": np.arange(1.0, count + 1, dtype=np.float32)}
    measure = jax.jit(lambda batch: {"value": Moments.of(batch["value"], batch["weight"])})
    found = sum_batches(measure, examples, 4)["value"]
    assert found.count == count
    np.testing.assert_allclose(found.mean, (count + 1) / 2)
