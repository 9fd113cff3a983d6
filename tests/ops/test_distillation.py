"""Golden values, limits and identities of the distillation losses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.ops import distillation as ops

INDEX = np.arange(40.0).reshape(4, 10)
STUDENT = jnp.asarray(3 * np.sin(0.7 * INDEX), jnp.float32)
TEACHER = jnp.asarray(4 * np.cos(0.3 * INDEX + 0.5), jnp.float32)
LABELS = jnp.array([1, 3, 5, 7])
RNG = np.random.default_rng(0)
FEATURES = jnp.asarray(RNG.normal(size=(5, 3)), jnp.float32)
OTHERS = jnp.asarray(RNG.normal(size=(5, 4)), jnp.float32)


def test_golden_values():
    # RepDistiller's DistillKL and PyTorch's cross-entropy, in float64
    for temperature, value in ((1, 1.3052459255), (4, 3.7996839413)):
        found = jax.jit(ops.divergence, static_argnums=2)(STUDENT, TEACHER, temperature).mean()
        np.testing.assert_allclose(found, value, rtol=1e-5)
        # The widely copied mean over the classes too
        assert abs(found - value / 10) > 0.1
    both = ops.soft_and_hard(STUDENT, TEACHER, LABELS, temperature=4.0, hard=0.1)
    np.testing.assert_allclose(both.mean(), 3.7667665355, rtol=1e-5)
    np.testing.assert_allclose(
        ops.soft_and_hard(STUDENT, TEACHER, LABELS, hard=1.0).mean(), 3.4705098832, rtol=1e-5
    )


def test_the_gradient_at_a_high_temperature():
    student, teacher = (z - z.mean(1, keepdims=True) for z in (STUDENT, TEACHER))
    gradient = jax.grad(lambda z: ops.divergence(z, teacher, 1000.0).sum())(student)
    np.testing.assert_allclose(gradient, (student - teacher) / 10, rtol=0.02, atol=2e-3)


def test_nothing_is_left_to_learn_from_an_equal():
    shifted = TEACHER + 3.0  # the same probabilities
    np.testing.assert_allclose(ops.divergence(shifted, TEACHER, 2.0), 0, atol=1e-5)
    np.testing.assert_allclose(ops.decoupled(shifted, TEACHER, LABELS), 0, atol=1e-4)
    for loss in (ops.relational_distance, ops.similarity_preserving, ops.relational_angle):
        np.testing.assert_allclose(loss(FEATURES, FEATURES), 0, atol=1e-6)
    # Angles and distances in units of their mean do not change with scale and place.
    for loss in (ops.relational_distance, ops.relational_angle):
        np.testing.assert_allclose(loss(3 * FEATURES + 1, FEATURES), 0, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_decoupled_parts_make_the_divergence(temperature):
    options = {"temperature": temperature}
    target = ops.decoupled(STUDENT, TEACHER, LABELS, target=1.0, others=0.0, **options)
    others = ops.decoupled(STUDENT, TEACHER, LABELS, target=0.0, others=1.0, **options)
    probability = jax.nn.softmax(TEACHER / temperature)
    rest = 1 - jnp.take_along_axis(probability, LABELS[:, None], 1)[:, 0]
    np.testing.assert_allclose(
        target + rest * others, ops.divergence(STUDENT, TEACHER, temperature), rtol=1e-4
    )
    np.testing.assert_allclose(
        ops.decoupled(STUDENT, TEACHER, LABELS, **options), target + 8 * others, rtol=1e-5
    )
    gradient = jax.grad(lambda z: ops.decoupled(z, TEACHER, LABELS).sum())(STUDENT)
    assert np.isfinite(gradient).all()


def test_a_virtual_teacher_smooths_labels():
    logits = ops.virtual_teacher(LABELS, 10, right=0.91)
    smooth = optax.smooth_labels(jax.nn.one_hot(LABELS, 10), 0.1)  # 0.9 + 0.01, 0.01
    np.testing.assert_allclose(jax.nn.softmax(logits), smooth, rtol=1e-5)
    # The divergence is the cross-entropy less the entropy of the targets.
    entropy = jax.scipy.special.entr(smooth).sum(1)
    np.testing.assert_allclose(
        ops.divergence(STUDENT, logits, 1.0),
        optax.softmax_cross_entropy(STUDENT, smooth) - entropy,
        rtol=1e-4,
    )


def test_hints_and_attention_by_hand():
    np.testing.assert_allclose(
        ops.hint(jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[0.0, 4.0], [0.0, 0.0]])), [2.5, 0]
    )
    # Activity 9 + 16 and 0 in two channels; 0 and 1 in one: the maps are (1, 0) and (0, 1).
    student = jnp.array([[[[3.0, 4.0], [0.0, 0.0]]]])
    teacher = jnp.array([[[[0.0], [1.0]]]])
    np.testing.assert_allclose(ops.attention_transfer(student, teacher), [1.0])
    np.testing.assert_allclose(ops.attention_transfer(student, 5 * student[..., :1]), [0.0])


def test_similarity_by_hand():
    student = jnp.array([[1.0, 0.0], [0.0, 2.0]])  # products [[1, 0], [0, 4]]: rows of unit norm
    teacher = jnp.array([[1.0], [1.0]])  # all alike: rows (1, 1) / sqrt 2
    per_row = ((1 - 0.5**0.5) ** 2 + 0.5) / 2
    np.testing.assert_allclose(
        ops.similarity_preserving(student, teacher), [per_row] * 2, rtol=1e-6
    )


def huber(value):
    return 0.5 * value**2 if abs(value) <= 1 else abs(value) - 0.5


def test_relations_one_by_one():
    def distance(features, i, j):
        every = [np.linalg.norm(a - b) for a, b in itertools.permutations(features, 2)]
        return np.linalg.norm(features[i] - features[j]) / np.mean(every)

    def cosine(features, i, j, k):
        sides = [features[i] - features[j], features[k] - features[j]]
        norms = [np.linalg.norm(side) for side in sides]
        return sides[0] @ sides[1] / np.prod(norms) if np.prod(norms) else 0.0

    student, teacher = np.asarray(FEATURES, float), np.asarray(OTHERS, float)
    expected = np.mean(
        [
            huber(distance(student, i, j) - distance(teacher, i, j))
            for i, j in itertools.product(range(5), repeat=2)
        ]
    )
    found = jax.jit(ops.relational_distance)(FEATURES, OTHERS).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    expected = np.mean(
        [
            huber(cosine(student, *triple) - cosine(teacher, *triple))
            for triple in itertools.product(range(5), repeat=3)
        ]
    )
    found = jax.jit(ops.relational_angle)(FEATURES, OTHERS).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "loss", [ops.relational_distance, ops.relational_angle, ops.similarity_preserving]
)
def test_gradients_of_equal_examples_are_finite(loss):
    twins = jnp.ones((4, 3)).at[0].set(2.0)
    assert np.isfinite(jax.grad(lambda x: loss(x, OTHERS[:4]).mean())(twins)).all()
