import numpy as np
import pytest
import scipy.linalg

from jaxdl.ops import generation


def normal(count, dimensions=5, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimensions))


def test_frechet_distance_of_a_closed_form():
    # compare_gan's own test: means (1.5, 1) and (5.5, 9), variances 25/99 and 1225/99 of the first.
    real, generated = np.ones((100, 2)), np.full((100, 2), 9.0)
    real[:50, 0] = 2
    generated[50:, 0] = 2
    expected = 4**2 + 8**2 + (5 / 99**0.5 - 35 / 99**0.5) ** 2
    assert expected == pytest.approx(89.0909090909)
    assert generation.frechet_distance(real, generated) == pytest.approx(expected)


def test_frechet_distance_equals_the_formula_with_a_matrix_root():
    a, b = normal(50), normal(60, seed=1) @ np.diag([1, 2, 0.5, 3, 1]) + 1
    cov = [np.cov(features, rowvar=False) for features in (a, b)]
    root = scipy.linalg.sqrtm(cov[0] @ cov[1]).real
    gap = a.mean(0) - b.mean(0)
    expected = gap @ gap + np.trace(cov[0] + cov[1] - 2 * root)
    assert generation.frechet_distance(a, b) == pytest.approx(expected)
    assert generation.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert generation.frechet_distance(a, b) == pytest.approx(generation.frechet_distance(b, a))


def test_frechet_distance_of_singular_covariances_is_finite():
    few = normal(3, dimensions=20)
    assert generation.frechet_distance(few, few + 1) == pytest.approx(20)


def test_kernel_distance_is_a_double_loop():
    a, b = normal(7), normal(6, seed=1) + 0.5

    def k(x, y):
        return (x @ y / 5 + 1) ** 3

    expected = (
        sum(k(a[i], a[j]) for i in range(7) for j in range(7) if i != j) / 42
        + sum(k(b[i], b[j]) for i in range(6) for j in range(6) if i != j) / 30
        - 2 * sum(k(x, y) for x in a for y in b) / 42
    )
    assert generation.kernel_distance(a, b) == pytest.approx(expected)


def test_kernel_distance_of_one_distribution_is_zero_on_average():
    found = [
        generation.kernel_distance(normal(40, seed=s), normal(40, seed=100 + s)) for s in range(60)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / 60**0.5
    assert generation.kernel_distance(normal(40), normal(40, seed=1) + 1) > 5 * np.std(found)


def test_the_floor_falls_with_the_number_of_images():
    real = normal(2000)
    floors = [generation.floor(generation.frechet_distance, real, n) for n in (50, 500)]
    assert 0 < floors[1] < floors[0] / 5
    with pytest.raises(ValueError, match="need 2002 real images"):
        generation.floor(generation.frechet_distance, real, 1001)


def test_classes_of_generated_images():
    probability = np.array([[0.95, 0.05], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    # Three of class 0 and one of class 1.
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert generation.class_entropy(probability) == pytest.approx(expected)
    assert generation.class_entropy(probability[:2]) == 0
    assert generation.confident_share(probability) == 0.5
    with pytest.raises(ValueError, match="n at least 2"):
        generation.frechet_distance(normal(1), normal(5))
