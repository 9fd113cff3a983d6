import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops.curvature import extreme_eigenvalues, hessian_product, stationary_point

KEY = jax.random.key(0)


def symmetric(size):
    matrix = np.random.default_rng(0).normal(size=(size, size))
    return (matrix + matrix.T) / 2


def test_products_and_all_eigenvalues_of_a_quadratic():
    matrix = symmetric(12)
    start = {"a": jnp.zeros(5), "b": jnp.zeros(7)}

    def function(params):
        flat = jnp.concatenate([params["a"], params["b"]])
        return 0.5 * flat @ jnp.asarray(matrix, jnp.float32) @ flat

    direction = {"a": jnp.ones(5), "b": jnp.zeros(7)}
    product = hessian_product(function, start, direction)
    np.testing.assert_allclose(
        np.concatenate([product["a"], product["b"]]), matrix[:, :5].sum(1), atol=1e-5
    )
    values = extreme_eigenvalues(function, start, KEY)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix), atol=1e-4)


def test_few_products_find_both_ends():
    scale = jnp.concatenate([jnp.linspace(-1, 1, 200), jnp.array([-3.0, 5.0])])
    values = extreme_eigenvalues(lambda x: 0.5 * (scale * x * x).sum(), jnp.ones(202), KEY)
    np.testing.assert_allclose([values[0], values[-1]], [-3, 5], rtol=1e-3)


@pytest.mark.parametrize(
    ("signs", "kind"),
    [((1, 2, 3), "minimum"), ((-1, -2, -1), "maximum"), ((1, 0, -1), "saddle"), ((0,) * 3, "flat")],
)
def test_kinds(signs, kind):
    signs = jnp.array(signs, float)
    assert stationary_point(lambda x: (signs * x * x).sum(), jnp.zeros(3), KEY)[0] == kind


def test_the_notes_two_weights():
    def loss(weights):
        return (1 - weights[0] * weights[1]) ** 2

    kind, values = stationary_point(loss, jnp.zeros(2), KEY)
    assert kind == "saddle"
    np.testing.assert_allclose(values, [-2, 2], atol=1e-5)  # the Hessian is [[0, -2], [-2, 0]]
    # w1 w2 = 1 is a valley: one eigenvalue is 0.
    kind, values = stationary_point(loss, jnp.ones(2), KEY)
    assert kind == "minimum"
    np.testing.assert_allclose(values, [0, 4], atol=1e-4)
    assert stationary_point(loss, jnp.array([1.0, 0.5]), KEY)[0] == "not stationary"
