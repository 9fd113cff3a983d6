import numpy as np
import pytest

from jaxdl.ops import anomaly

SCORES = np.array([0.1, 0.4, 0.35, 0.8])
LABELS = np.array([0, 0, 1, 1])


def test_thresholds_by_hand():
    healthy = np.array([1.0, 2.0, 3.0, 4.0])
    limit = anomaly.maximum(healthy)
    assert limit == pytest.approx(4)
    assert not (healthy >= limit).any()
    assert anomaly.quantile(healthy, 0.5) == 2.5
    # Mean 2.5, variance (2.25 + 0.25 + 0.25 + 2.25) / 4 = 1.25.
    assert anomaly.deviations(healthy, 2) == pytest.approx(2.5 + 2 * 1.25**0.5)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [  # anomalib's tests; the last, which it once answered with 1, in its issue 2433
        ([0, 0, 0, 1, 1], [2.3, 1.6, 2.6, 7.9, 3.3], 3.3),
        ([1, 0, 0, 0], [4, 3, 2, 1], 4),
        ([0, 1, 1, 1], [0.1, 0.5, 0.9, 1.0], 0.5),
        ([0, 1, 1, 1], [0.1, 0.5, 0.9, 0.1], 0.1),
        ([0, 0, 0, 0], [1, 2, 3, 4], 4),
    ],
)
def test_the_threshold_of_the_best_f1(labels, scores, expected):
    assert anomaly.best_f1(np.array(scores), np.array(labels)) == pytest.approx(expected)


def test_measures_by_hand():
    # Of the four pairs of one anomaly and one healthy image, three are in order.
    assert anomaly.auroc(SCORES, LABELS) == 0.75
    # Recall 1/2 at precision 1 (0.8), recall 1 at precision 2/3 (0.35).
    assert anomaly.average_precision(SCORES, LABELS) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert anomaly.f1(SCORES, LABELS, 0.35) == pytest.approx(0.8)  # 2 of 3 right, none missed
    assert anomaly.f1(SCORES, LABELS, 0.9) == 0
    assert anomaly.f1(SCORES, LABELS, -np.inf) == pytest.approx(2 / 3)
    # At 0.4 one false alarm of two and one miss of two.
    assert anomaly.equal_error_rate(SCORES, LABELS) == pytest.approx(0.5)
    assert anomaly.equal_error_rate(np.array([1.0, 2, 3, 4]), LABELS) == 0


def test_ties_and_constant_scores():
    flat = np.ones(10)
    labels = np.arange(10) < 3
    assert anomaly.auroc(flat, labels) == 0.5
    assert anomaly.average_precision(flat, labels) == pytest.approx(0.3)
    assert anomaly.equal_error_rate(flat, labels) == pytest.approx(0.5)


@pytest.mark.parametrize("ties", [False, True])
def test_auroc_is_the_share_of_ordered_pairs(ties):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=60), rng.random(60) < 0.3
    scores = np.round(scores) if ties else scores
    pairs = scores[labels][:, None] - scores[~labels]
    expected = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    assert anomaly.auroc(scores, labels) == pytest.approx(expected)


def test_a_monotone_scale_changes_no_ranking():
    rng = np.random.default_rng(1)
    scores, labels = rng.random(50), rng.random(50) < 0.5
    scaled = anomaly.scale(scores, 0.5, -1.0, 2.0)
    assert anomaly.auroc(scaled, labels) == anomaly.auroc(scores, labels)
    assert ((scaled >= 0.5) == (scores >= 0.5)).all()
    with pytest.raises(ValueError, match="high must be above low"):
        anomaly.scale(scores, 0.5, 1.0, 1.0)


def test_bootstrap_intervals_hold_the_value_and_shrink_with_more_images():
    rng = np.random.default_rng(2)
    widths = []
    for count in (40, 640):
        labels = np.arange(count) % 2 == 0
        scores = rng.normal(size=count) + labels
        found = anomaly.bootstrap(anomaly.auroc, scores, labels, resamples=200)
        assert found.low < found.value < found.high
        assert found.value == anomaly.auroc(scores, labels)
        assert found == anomaly.bootstrap(anomaly.auroc, scores, labels, resamples=200)
        widths.append(found.high - found.low)
    # Four times narrower, as the square root of the count.
    assert 2.5 < widths[0] / widths[1] < 6.5


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="all 4 images are healthy"):
        anomaly.auroc(SCORES, np.zeros(4))
    with pytest.raises(ValueError, match="all 4 images are anomalous"):
        anomaly.equal_error_rate(SCORES, np.ones(4))
    with pytest.raises(ValueError, match="as many labels"):
        anomaly.auroc(SCORES, np.ones(3))
    with pytest.raises(ValueError, match="finite numbers"):
        anomaly.maximum(np.array([]))
    with pytest.raises(ValueError, match="finite numbers"):
        anomaly.quantile(np.array([1.0, np.nan]))
