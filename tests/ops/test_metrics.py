import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops.metrics import Moments


def test_mean_and_interval_by_hand():
    # 1, 2, 3, 4: mean 2.5, s^2 = (2.25 + .25 + .25 + 2.25) / 3 = 5/3, 1.96 sqrt(5/3/4) = 1.26517
    moments = Moments.of(jnp.array([1.0, 2, 3, 4]), jnp.ones(4))
    assert moments.mean == pytest.approx(2.5)
    assert moments.ci95 == pytest.approx(1.26517, abs=1e-5)


def test_padding_does_not_count():
    values = jnp.array([[1.0, 0], [3.0, 4], [99, 99]])
    padded = Moments.of(values, jnp.array([1.0, 1, 0]))
    np.testing.assert_array_equal(padded.mean, [2, 2])
    assert padded.count == 2


def test_merging_batches_equals_one_batch():
    values = jax.random.uniform(jax.random.key(0), (10, 3))
    whole = Moments.of(values, jnp.ones(10))
    first, second = Moments.of(values[:7], jnp.ones(7)), Moments.of(values[7:], jnp.ones(3))
    parts = jax.tree.map(jnp.add, first, second)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-6)
    np.testing.assert_allclose(parts.ci95, whole.ci95, rtol=1e-5)


def test_one_value_has_no_interval():
    assert Moments.of(jnp.array([0.5]), jnp.ones(1)).ci95 == 0
