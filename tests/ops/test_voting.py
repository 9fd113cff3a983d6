import jax.numpy as jnp
import numpy as np

from jaxdl.ops import voting


def test_majority_and_ties():
    labels = jnp.array([[1, 2, 0], [0, 2, 1], [1, 0, 2]])
    np.testing.assert_array_equal(voting.majority(labels, 3), [1, 2, 0])


def test_averages():
    probabilities = jnp.array([[[0.6, 0.4]], [[0.2, 0.8]], [[0.1, 0.9]]])
    np.testing.assert_allclose(voting.average(probabilities), [[0.3, 0.7]], rtol=1e-6)
    # 0.6 * 2 + 0.2 + 0.1, over 4
    weighted = voting.average(probabilities, jnp.array([2.0, 1.0, 1.0]))
    np.testing.assert_allclose(weighted, [[0.375, 0.625]], rtol=1e-6)


def test_rank_weights_by_hand():
    # 0.5 / 1, 0.25 / 3, 0.4 / 2: 60, 10 and 24 parts of 94
    np.testing.assert_allclose(
        voting.rank_weights(jnp.array([0.5, 0.25, 0.4])), np.array([60, 10, 24]) / 94, rtol=1e-5
    )


def test_disagreement_counts_pairs():
    labels = jnp.array([[0, 1, 2], [0, 1, 1], [0, 2, 0]])
    np.testing.assert_allclose(voting.disagreement(labels), [0, 2 / 3, 1], rtol=1e-6)
