"""How good a classifier and its probabilities are.

Accuracy over classes, top-k accuracy and log loss are scikit-learn's; this is what it lacks, or
gives only for all examples together.

Shapes: B examples, A classes, N bins.
"""

from collections.abc import Mapping
from typing import NamedTuple

import chex
import jax
import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

Array = jax.Array | np.ndarray


def precision_recall_f1(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns precision, recall and their harmonic mean for each class.

    Args:
      confusion: int [A, A], examples by true class (rows) and predicted class (columns), as
        `sklearn.metrics.confusion_matrix` counts them.

    Returns:
      Three arrays [A] in [0, 1]; 0 where nothing was predicted, or there is nothing to find.

    >>> # The notes' pond of 1,400 carps and 600 others: 700 carps and 300 others are caught.
    >>> carp = precision_recall_f1(np.array([[700, 700], [300, 300]]))
    >>> [round(float(measure[0]), 3) for measure in carp]
    [0.7, 0.5, 0.583]
    """
    right = np.diag(confusion)
    predicted, there = confusion.sum(0), confusion.sum(1)

    def share(of):
        return np.where(of > 0, right / np.maximum(of, 1), 0.0)

    both = predicted + there
    return share(predicted), share(there), np.where(both > 0, 2 * right / np.maximum(both, 1), 0.0)


def brier_score(probabilities: Array, labels: Array) -> jax.Array:
    """Returns the squared distance of probabilities from the truth (Brier, 1950), in [0, 2].

    Args:
      probabilities: [B, A].
      labels: int [B].

    Returns:
      [B]. scikit-learn's `brier_score_loss` of two classes is the mean of half of it.
    """
    chex.assert_rank([probabilities, labels], [2, 1])
    truth = jax.nn.one_hot(labels, probabilities.shape[-1])
    return ((probabilities - truth) ** 2).sum(-1)


class Reliability(NamedTuple):
    """A reliability diagram: what is predicted with some confidence, and how often it is right."""

    confidence: np.ndarray  # [N], mean confidence of the predictions of a bin; 0 in an empty one
    accuracy: np.ndarray  # [N], share of them that is right
    count: np.ndarray  # type: ignore[assignment]  # int [N]

    @property
    def expected_calibration_error(self) -> float:
        """The mean distance of confidence and accuracy (Guo et al., 2017, equation 3)."""
        gap = np.abs(self.confidence - self.accuracy)
        return float((gap * self.count).sum() / self.count.sum())


def reliability(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 15) -> Reliability:
    """Sorts predictions into bins of equal width by their confidence, the largest probability.

    Args:
      probabilities: [B, A], B at least 1.
      labels: int [B].
      bins: N; bin n holds confidences in (n / N, (n + 1) / N].
    """
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    confidence = probabilities.max(-1)
    right = probabilities.argmax(-1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)

    def mean(values):
        return np.bincount(place, values, minlength=bins) / np.maximum(count, 1)

    return Reliability(mean(confidence), mean(right), count)


def raised_biases(log_probability: np.ndarray, shares: Mapping[int, float]) -> np.ndarray:
    """Returns what to add to the logits so that some classes are said as often as they should be.

    Classes that a network never saw are, as Hinton et al. (2015, section 3) found, known to it from
    its teacher, but for their biases. No labels are looked at.

    Args:
      log_probability: [B, A], of images in which the classes have those shares.
      shares: by class, what its mean probability is to be, in (0, 1).

    Returns:
      [A], 0 for all other classes.
    """
    raised = np.zeros(log_probability.shape[-1])
    for _ in range(5 if len(shares) > 1 else 1):  # each depends on the others
        for index, wanted in shares.items():

            def excess(value, which=index, wanted=wanted):
                trial = raised.copy()
                trial[which] = value
                return softmax(log_probability + trial, -1)[:, which].mean() - wanted

            raised[index] = brentq(excess, -50, 50)
    return raised
