"""How far generated images are from real ones, by the features of a classifier; on the host.

A distance is worth something only beside its floor: that of two sets of real images of the same
sizes, which `floor` measures.

Shapes: n images, D features, A classes.
"""

from collections.abc import Callable

import numpy as np


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Returns the Fréchet distance of two normal distributions with the features' moments.

    With Inception features it is the FID (Heusel et al., 2017, equation 6). It has a bias that
    falls with n, so that only distances of the same n can be compared. In float64: the root of
    nearly singular covariances is lost in less.

    Args:
      real: [n, D], n at least 2.
      generated: [m, D], m at least 2.

    >>> frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [5.0]]))
    9.0
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(features) for features in (real, generated))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # Tr (A B)^1/2 = Tr (A^1/2 B A^1/2)^1/2, whose matrix is symmetric.
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    gap = mean_a - mean_b
    return float(gap @ gap + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def kernel_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Returns the squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased.

    With Inception features it is the KID (Binkowski et al., 2018, section 4). Two sets of one
    distribution give 0 on average, so it may be negative.

    Args:
      real: [n, D], n at least 2.
      generated: [m, D], m at least 2.
    """
    real, generated = _features(real), _features(generated)

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(features):
        values, count = kernel(features, features), len(features)
        return (values.sum() - np.trace(values)) / (count * (count - 1))

    return float(within(real) + within(generated) - 2 * kernel(real, generated).mean())


def floor(
    distance: Callable[[np.ndarray, np.ndarray], float],
    real: np.ndarray,
    count: int,
    *,
    draws: int = 5,
    seed: int = 0,
) -> float:
    """Returns the mean distance of two sets of real images that share none.

    Args:
      distance: one of this file's.
      real: [n, D].
      count: images in each set; at most n / 2.
      draws: pairs of sets.
      seed: of the draws.

    Raises:
      ValueError: there are not enough images.
    """
    if 2 * count > len(real):
        raise ValueError(f"two sets of {count} need {2 * count} real images, got {len(real)}")
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order = rng.permutation(len(real))
        found.append(distance(real[order[:count]], real[order[count : 2 * count]]))
    return float(np.mean(found))


def class_entropy(probability: np.ndarray) -> float:
    """Returns the entropy, in nats, of how often each class is the likeliest; ln A at most.

    Args:
      probability: [n, A], of a classifier.

    >>> round(class_entropy(np.eye(4)), 4)  # ln 4
    1.3863
    """
    share = np.bincount(probability.argmax(-1), minlength=probability.shape[-1]) / len(probability)
    share = share[share > 0]
    return float(-(share * np.log(share)).sum())


def confident_share(probability: np.ndarray, least: float = 0.9) -> float:
    """Returns the share of images whose likeliest class has at least that probability [n, A]."""
    return float((probability.max(-1) >= least).mean())


def _features(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise ValueError(f"features must be finite, [n, D] with n at least 2, got {features.shape}")
    return features


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    features = _features(features)
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))
