"""Several tasks: what two gradients by hand, and the limits of weights and distances, say."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops import multitask

KEY = jax.random.key(0)


def test_uncertainty_weights():
    # exp(-log 4) * 2 + log(4) / 2
    value = multitask.uncertainty_weighted(jnp.array([2.0]), jnp.array([np.log(4.0)]))
    np.testing.assert_allclose(value, [0.5 + np.log(2.0)], rtol=1e-6)
    losses = jnp.array([0.1, 0.5, 3.0])
    best = jnp.log(2 * losses)
    slope = jax.grad(lambda s: multitask.uncertainty_weighted(losses, s).sum())(best)
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    weights = jax.grad(lambda value: multitask.uncertainty_weighted(value, best).sum())(losses)
    np.testing.assert_allclose(weights, 1 / (2 * losses), rtol=1e-6)


def test_surgery_by_hand():
    # (1, 0) and (-1, 1) have the product -1: they become (1, 0) + (-1, 1) / 2 and (-1, 1) + (1, 0).
    gradients = jnp.array([[1.0, 0.0], [-1.0, 1.0]])
    for run in (multitask.surgery, jax.jit(multitask.surgery)):
        np.testing.assert_allclose(run(KEY, gradients), [0.5, 1.5], rtol=1e-6)


def test_surgery_leaves_what_does_not_conflict():
    gradients = jnp.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.5, 1.0, 0.0]])
    np.testing.assert_allclose(multitask.surgery(KEY, gradients), gradients.sum(0), rtol=1e-6)
    opposite = jnp.array([[1.0, 2.0], [-1.0, -2.0]])
    np.testing.assert_allclose(multitask.surgery(KEY, opposite), 0, atol=1e-6)
    still = jnp.array([[1.0, 2.0], [0.0, 0.0]])
    np.testing.assert_array_equal(multitask.surgery(KEY, still), [1, 2])


def test_surgery_of_three_is_the_algorithm_in_some_order():
    gradients = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    assert (gradients @ gradients.T).min() < 0

    def projected(own, order):
        gradient = gradients[own]
        for other in order:
            if gradient @ gradients[other] < 0:
                share = gradient @ gradients[other] / (gradients[other] @ gradients[other])
                gradient = gradient - share * gradients[other]
        return gradient

    orders = itertools.product(((1, 2), (2, 1)), ((0, 2), (2, 0)), ((0, 1), (1, 0)))
    possible = [sum(projected(own, order) for own, order in enumerate(each)) for each in orders]
    found = multitask.surgery(KEY, jnp.asarray(gradients))
    assert min(np.abs(found - each).max() for each in possible) < 1e-5


def test_conflict_is_the_cosine():
    gradients = jnp.array([[1.0, 0.0], [-3.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(multitask.conflict(gradients)[0], [1.0, -1.0, half, 0.0], rtol=1e-6)


def test_spread_is_half_the_squared_distance_of_two():
    leaves = {"kernel": jnp.array([[1.0, 2.0], [3.0, 5.0]]), "bias": jnp.array([0.0, 1.0])}
    # (4 + 9 + 1) / 2
    np.testing.assert_allclose(multitask.spread(leaves), 7.0)
