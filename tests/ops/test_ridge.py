import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops.ridge import ridge


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_the_gradient_of_what_is_minimised_is_zero(shape):
    random = np.random.default_rng(0)
    x, y = random.normal(size=shape), random.normal(size=(shape[0], 3))
    with jax.enable_x64(True):
        w = ridge(jnp.asarray(x), jnp.asarray(y), 0.7)
        # d/dW (|X W - Y|^2 + 0.7 |W|^2) / 2
        np.testing.assert_allclose(x.T @ (x @ w - y) + 0.7 * w, 0, atol=1e-12)


def test_woodbury_equals_the_direct_solution():
    random = np.random.default_rng(1)
    x, y = random.normal(size=(5, 8)), random.normal(size=(5, 2))
    direct = np.linalg.solve(x.T @ x + 0.3 * np.eye(8), x.T @ y)
    with jax.enable_x64(True):
        np.testing.assert_allclose(ridge(jnp.asarray(x), jnp.asarray(y), 0.3), direct, rtol=1e-9)
