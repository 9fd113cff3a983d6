"""From anomaly scores to decisions, and how good both are; on the host, in float64.

A larger score is stranger; an image is called anomalous when its score reaches the threshold.

Shapes: n images.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn import metrics


class Interval(NamedTuple):
    """A measure and its 95 % interval."""

    value: float
    low: float
    high: float


def maximum(healthy: np.ndarray) -> float:
    """Returns the smallest threshold that calls none of these healthy scores [n] anomalous.

    One outlier among them is enough to hide every anomaly; see `quantile`.

    >>> maximum(np.array([1.0, 4.0, 2.0])) > 4.0
    True
    """
    return float(np.nextafter(_scores(healthy).max(), np.inf))


def quantile(healthy: np.ndarray, share: float = 0.99) -> float:
    """Returns the threshold below which that share of the healthy scores [n] lies."""
    return float(np.quantile(_scores(healthy), share))


def deviations(healthy: np.ndarray, count: float = 3.0) -> float:
    """Returns the mean of the healthy scores [n] plus that many standard deviations."""
    healthy = _scores(healthy)
    return float(healthy.mean() + count * healthy.std())


def best_f1(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Returns the score that, as a threshold, gives the largest F1; of several, the lowest.

    It needs labels, so it belongs on validation data, never on the test it is judged by.

    Args:
      scores: [n].
      anomalous: bool [n]; when none is, the result is that of `maximum`.

    >>> best_f1(np.array([2.3, 1.6, 2.6, 7.9, 3.3]), np.array([0, 0, 0, 1, 1]))
    3.3
    """
    scores, anomalous = _scores(scores), _labels(anomalous, scores)
    if not anomalous.any():
        return maximum(scores)
    precision, recall, thresholds = metrics.precision_recall_curve(anomalous, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(thresholds[np.argmax(f1[: len(thresholds)])])


def scale(scores: np.ndarray, threshold: float, low: float, high: float) -> np.ndarray:
    """Maps scores [n] to [0, 1] so that the threshold becomes one half.

    Args:
      scores: [n].
      threshold: in the units of the scores.
      low: the smallest healthy validation score; with `high` the unit of the scale.
      high: the largest one.

    >>> scale(np.array([20.0, 40.0, 60.0, 80.0]), 40.0, 0.0, 100.0).tolist()
    [0.3, 0.5, 0.7, 0.9]
    """
    if not high > low:
        raise ValueError(f"high must be above low, got {low} and {high}")
    return np.clip((np.asarray(scores, float) - threshold) / (high - low) + 0.5, 0, 1)


def auroc(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Returns how often an anomaly scores higher than a healthy image; a tie counts one half."""
    scores, anomalous = _two_classes(scores, anomalous)
    return float(metrics.roc_auc_score(anomalous, scores))


def average_precision(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Returns the mean precision over recalls; that of a coin is the share of anomalies."""
    scores, anomalous = _two_classes(scores, anomalous)
    return float(metrics.average_precision_score(anomalous, scores))


def equal_error_rate(scores: np.ndarray, anomalous: np.ndarray) -> float:
    """Returns the error rate of the threshold at which false alarms are as frequent as misses.

    Between two thresholds both rates are taken as linear.
    """
    scores, anomalous = _two_classes(scores, anomalous)
    alarms, hits, _ = metrics.roc_curve(anomalous, scores, drop_intermediate=False)
    gap = alarms - (1 - hits)  # from -1 to 1, never falling
    after = int(np.argmax(gap >= 0))
    share = -gap[after - 1] / (gap[after] - gap[after - 1])
    return float(alarms[after - 1] + share * (alarms[after] - alarms[after - 1]))


def f1(scores: np.ndarray, anomalous: np.ndarray, threshold: float) -> float:
    """Returns the harmonic mean of precision and recall at a threshold; 0 without any hit.

    With many anomalies it is high for a detector that calls everything one: beside it belongs that
    figure, `f1(scores, anomalous, -inf)`.
    """
    scores, anomalous = _two_classes(scores, anomalous)
    return float(metrics.f1_score(anomalous, scores >= threshold))


def bootstrap(
    measure: Callable[[np.ndarray, np.ndarray], float],
    scores: np.ndarray,
    anomalous: np.ndarray,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Interval:
    """Returns a measure with the 95 % interval of its bootstrap distribution.

    Healthy images and anomalies are drawn again each from their own, as many as there are.

    Args:
      measure: `(scores, anomalous) -> number`, one of this file's.
      scores: [n].
      anomalous: bool [n].
      resamples: how often.
      seed: of the draws.
    """
    scores, anomalous = _two_classes(scores, anomalous)
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(anomalous == value) for value in (False, True)]
    values = []
    for _ in range(resamples):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
        values.append(measure(scores[drawn], anomalous[drawn]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Interval(measure(scores, anomalous), float(low), float(high))


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, float)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"scores must be one or more finite numbers, got {scores!r}")
    return scores


def _labels(anomalous: np.ndarray, scores: np.ndarray) -> np.ndarray:
    anomalous = np.asarray(anomalous).astype(bool)
    if anomalous.shape != scores.shape:
        raise ValueError(f"{len(scores)} scores need as many labels, got {anomalous.shape}")
    return anomalous


def _two_classes(scores: np.ndarray, anomalous: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores = _scores(scores)
    anomalous = _labels(anomalous, scores)
    if anomalous.all() or not anomalous.any():
        kind = "anomalous" if anomalous.all() else "healthy"
        raise ValueError(f"all {len(scores)} images are {kind}: this measure needs both kinds")
    return scores, anomalous
