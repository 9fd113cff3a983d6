import jax.numpy as jnp
import numpy as np
from scipy.spatial import distance as scipy_distance

from jaxdl.ops.distances import (
    cosine_similarity,
    ink_points,
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
    points = [ink_points(jnp.asarray(drawing), 30) for drawing in drawings]
    for i in range(2):
        for j in range(2, 5):
            first, second = (np.argwhere(drawings[k]) for k in (i, j))
            between = scipy_distance.cdist(first - first.mean(0), second - second.mean(0))
            expected = max(between.min(0).mean(), between.min(1).mean())
            got = modified_hausdorff(points[i][0], points[j][0], points[i][1], points[j][1])
            np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_points_by_hand():
    ink = jnp.zeros((3, 4), bool).at[0, 1].set(True).at[2, 3].set(True)
    points, mask = ink_points(ink, 3)
    np.testing.assert_array_equal(mask, [True, True, False])
    np.testing.assert_allclose(points[:2], [[-1, -1], [1, 1]])
