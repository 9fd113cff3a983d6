import jax.numpy as jnp
import numpy as np
from scipy.spatial import distance as scipy_distance

from jaxdl.ops.distances import (
    cosine_similarity,
    distance_to_ink,
    modified_hausdorff,
    squared_euclidean,
)


def points(count, dimensions, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def test_distances_equal_scipys():
    a, b = points(4, 7), points(3, 7, 1)
    np.testing.assert_allclose(
        squared_euclidean(a, b), scipy_distance.cdist(a, b, "sqeuclidean"), rtol=1e-5
    )
    np.testing.assert_allclose(
        cosine_similarity(a, b), 1 - scipy_distance.cdist(a, b, "cosine"), atol=1e-6
    )


def test_a_zero_vector_is_similar_to_nothing():
    np.testing.assert_array_equal(cosine_similarity(jnp.zeros((1, 2)), jnp.ones((1, 2))), [[0]])


def test_modified_hausdorff_equals_a_loop_over_points():
    drawings = np.random.default_rng(2).random((5, 9, 12)) < 0.1
    got = modified_hausdorff(drawings[:2], drawings[2:])
    for i in range(2):
        for j in range(3):
            first, second = np.argwhere(drawings[i]), np.argwhere(drawings[2 + j])
            between = scipy_distance.cdist(first, second)
            expected = max(between.min(0).mean(), between.min(1).mean())
            np.testing.assert_allclose(got[i, j], expected, rtol=1e-5)


def test_distance_to_ink_by_hand():
    ink = np.zeros((3, 4), bool)
    ink[0, 0] = True
    np.testing.assert_allclose(
        distance_to_ink(ink)[[0, 1, 2], [3, 0, 2]], [3, 1, 8**0.5], rtol=1e-6
    )
