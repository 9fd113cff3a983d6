import jax
import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from jaxdl.ops.classification import (
    brier_score,
    precision_recall_f1,
    raised_biases,
    reliability,
)

RNG = np.random.default_rng(0)
PROBABILITY = RNG.dirichlet(np.ones(4), 200)
LABEL = RNG.integers(0, 4, 200)


def test_equals_scikit_learn():
    found = PROBABILITY.argmax(1)
    ours = precision_recall_f1(metrics.confusion_matrix(LABEL, found))
    theirs = metrics.precision_recall_fscore_support(LABEL, found)[:3]
    np.testing.assert_allclose(ours, theirs)
    two = np.stack([1 - PROBABILITY[:, 0], PROBABILITY[:, 0]], 1)
    truth = (LABEL == 0).astype(int)
    np.testing.assert_allclose(
        brier_score(two, truth).mean() / 2, metrics.brier_score_loss(truth, two[:, 1]), rtol=1e-5
    )


def test_classes_that_never_come_have_no_nan():
    measures = precision_recall_f1(np.array([[2, 0, 0], [1, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(measures, [[2 / 3, 0, 0], [1, 0, 0], [0.8, 0, 0]])


def test_brier_score_by_hand():
    probability = np.array([[0.7, 0.2, 0.1], [0.0, 0.0, 1.0]])
    # 0.09 + 0.04 + 0.01, and the worst there is
    np.testing.assert_allclose(
        jax.jit(brier_score)(probability, np.array([0, 1])), [0.14, 2], rtol=1e-6
    )


def test_calibration_by_hand():
    # Two bins: four predictions at 0.9 of which three are right, one at 0.5 which is wrong.
    probability = np.array([[0.9, 0.1]] * 4 + [[0.5, 0.5]])
    label = np.array([0, 0, 0, 1, 1])
    found = reliability(probability, label, bins=2)
    np.testing.assert_allclose(found.confidence, [0.5, 0.9])
    np.testing.assert_allclose(found.accuracy, [0, 0.75])
    np.testing.assert_array_equal(found.count, [1, 4])
    # (4 * 0.15 + 1 * 0.5) / 5
    assert found.expected_calibration_error == pytest.approx(0.22)
    # The right edge belongs to a bin, and certainty to the last.
    assert reliability(np.array([[1.0, 0.0]]), np.array([0])).count[-1] == 1


def test_a_calibrated_classifier_has_a_small_error():
    truth = np.array([RNG.choice(4, p=p) for p in PROBABILITY.repeat(50, 0)])
    found = reliability(PROBABILITY.repeat(50, 0), truth)
    assert found.expected_calibration_error < 0.02
    assert reliability(PROBABILITY, LABEL).expected_calibration_error > 0.2


def test_biases_are_raised_to_the_share_of_the_labels():
    rng = np.random.default_rng(0)
    log_probability = np.log(softmax(rng.normal(size=(200, 4)) - [0, 0, 5, 4], -1))
    raised = raised_biases(log_probability, {2: 0.3, 3: 0.4})
    assert (raised[:2] == 0).all()
    shares = softmax(log_probability + raised, -1).mean(0)
    np.testing.assert_allclose(shares[2:], [0.3, 0.4], atol=1e-3)
