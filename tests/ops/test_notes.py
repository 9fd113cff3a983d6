"""The notes' small worked examples, on the functions of JAX and Flax that the library uses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.nn.norm import BatchNorm


def test_softmax_over_an_axis():
    got = jax.nn.softmax(jnp.array([[1.0, 2.0, 3.0], [4.0, 6.0, 8.0]]), axis=0)
    expected = [[0.0474, 0.0180, 0.0067], [0.9526, 0.9820, 0.9933]]
    np.testing.assert_allclose(got, expected, atol=5e-5)


def test_masked_softmax():
    scores = jnp.array([1.2, 2.3, 4.0])
    got = jax.nn.softmax(scores, where=jnp.array([True, True, False]))
    np.testing.assert_allclose(got, [0.2497, 0.7503, 0.0], atol=5e-5)
    # Where everything is masked, the naive minus infinity gives NaN.
    none = jnp.zeros(3, bool)
    assert np.isnan(jax.nn.softmax(jnp.where(none, scores, -jnp.inf))).all()
    assert not np.asarray(jax.nn.softmax(scores, where=none)).any()


def test_one_hot_of_several_columns():
    # scikit-learn's example: categories 0-1, 0-2 and 0-3
    def encode(row):
        return np.concatenate([jax.nn.one_hot(v, n) for v, n in zip(row, (2, 3, 4), strict=True)])

    np.testing.assert_array_equal(encode([0, 1, 3]), [1, 0, 0, 1, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(encode([0, 0, 1]), [1, 0, 1, 0, 0, 0, 1, 0, 0])


def test_bayes():
    ill, right = 0.001, 0.95
    positive = ill * right + (1 - ill) * (1 - right)
    np.testing.assert_allclose(positive, 0.0509)
    np.testing.assert_allclose(ill * right / positive, 0.018664, atol=5e-7)


def test_the_likelihood_of_seven_white_and_three_black():
    # Its maximum, 0.7, is where the mean binary cross-entropy is least.
    labels = jnp.array([1.0] * 7 + [0.0] * 3)

    def cross_entropy(theta):
        logit = jnp.log(theta / (1 - theta))
        return optax.sigmoid_binary_cross_entropy(logit, labels).mean()

    np.testing.assert_allclose(jnp.exp(-10 * cross_entropy(0.6)), 0.6**7 * 0.4**3, rtol=1e-4)
    np.testing.assert_allclose(jax.grad(cross_entropy)(0.7), 0, atol=1e-6)


def test_gradients():
    x = jnp.arange(4.0)
    value, gradient = jax.value_and_grad(lambda x: 2 * x @ x)(x)
    assert value == 28
    np.testing.assert_array_equal(gradient, [0, 4, 8, 12])
    np.testing.assert_array_equal(jax.grad(jnp.sum)(x), jnp.ones(4))
    matrix = jnp.array([[1.0, 0.0], [-1.0, 1.0]])
    np.testing.assert_array_equal(jax.grad(lambda x: (x**2).sum())(matrix), [[2, 0], [-2, 2]])


def test_batch_norm_is_by_column_and_layer_norm_by_row():
    # The notes let the shift begin at 1 and the scale at 0; it is the other way round.
    table = jax.random.normal(jax.random.key(0), (10, 3)) * 5 + 2
    by_column, variables = BatchNorm().init_with_output(jax.random.key(0), table)
    np.testing.assert_allclose(by_column.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(by_column.std(0), 1, rtol=1e-4)
    np.testing.assert_array_equal(variables["params"]["scale"], [1, 1, 1])
    np.testing.assert_array_equal(variables["params"]["bias"], [0, 0, 0])
    by_row = nn.LayerNorm().init_with_output(jax.random.key(0), table)[0]
    np.testing.assert_allclose(by_row.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(by_row.std(1), 1, rtol=1e-3)


def test_entropy_and_divergence():
    p, q = jnp.array([0.5, 0.25, 0.25]), jnp.array([0.25, 0.25, 0.5])
    entropy = jax.scipy.special.entr(p).sum() / jnp.log(2)
    np.testing.assert_allclose(entropy, 1.5, rtol=1e-6)  # 1/2 + 1/4 * 2 + 1/4 * 2 bits
    divergence = jax.scipy.special.kl_div(p, q).sum() / jnp.log(2)
    cross = -(p * jnp.log2(q)).sum()
    np.testing.assert_allclose(divergence, cross - entropy, rtol=1e-5)  # 1/2 - 1/4 = 1/4 bit
    np.testing.assert_allclose(divergence, 0.25, rtol=1e-5)
