"""Adversarial losses and penalties against values by hand and closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops import adversarial

LOGITS = [-2.0, 0.0, 0.5, 3.0]


def bce(logit, label):
    probability = 1 / (1 + math.exp(-logit))
    return -math.log(probability if label else 1 - probability)


BY_HAND = {
    "NON_SATURATING": (lambda x: bce(x, 1), lambda x: bce(x, 0), lambda x: bce(x, 1)),
    "HINGE": (lambda x: max(0, 1 - x), lambda x: max(0, 1 + x), lambda x: -x),
    "LEAST_SQUARES": (
        lambda x: (x - 1) ** 2 / 2,
        lambda x: x**2 / 2,
        lambda x: (x - 1) ** 2 / 2,
    ),
    "WASSERSTEIN": (lambda x: -x, lambda x: x, lambda x: -x),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_losses(name):
    loss = getattr(adversarial, name)
    for function, expected in zip(loss, BY_HAND[name], strict=True):
        values = [expected(x) for x in LOGITS]
        for run in (function, jax.jit(function)):
            np.testing.assert_allclose(run(jnp.array(LOGITS)), values, rtol=1e-6)


def test_values_to_remember():
    # An undecided discriminator: ln 2 on either side, 1 on either side, 1/2 and 0.
    zero = jnp.zeros(())
    both = {
        n: getattr(adversarial, n).real(zero) + getattr(adversarial, n).fake(zero) for n in BY_HAND
    }
    expected = {
        "NON_SATURATING": 2 * math.log(2),
        "HINGE": 2,
        "LEAST_SQUARES": 0.5,
        "WASSERSTEIN": 0,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(both[name], value, rtol=1e-6)


def test_large_logits_are_finite_and_still_teach():
    for loss in (adversarial.NON_SATURATING, adversarial.HINGE):
        assert jnp.isfinite(loss.fake(jnp.array([100.0, -100.0]))).all()
    # What gives the loss its name: the generator's gradient where it is surely found out.
    assert jax.grad(adversarial.NON_SATURATING.generator)(-50.0) == -1.0


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_penalties_of_a_linear_critic(scale):
    weight = scale * jax.random.normal(jax.random.key(0), (4 * 4 * 2,))
    images = jax.random.normal(jax.random.key(1), (3, 4, 4, 2))
    norm = float(jnp.linalg.norm(weight))

    def critic(images):
        return images.reshape(len(images), -1) @ weight

    slope = adversarial.squared_slope(critic, images)
    np.testing.assert_allclose(slope, [norm**2] * 3, rtol=1e-5)
    np.testing.assert_allclose(adversarial.r1(critic, images), [norm**2 / 2] * 3, rtol=1e-5)
    penalty = adversarial.gradient_penalty(critic, images)
    np.testing.assert_allclose(penalty, [(norm - 1) ** 2] * 3, atol=1e-5)


def test_the_penalty_differentiates_where_the_slope_is_zero():
    def penalty(weight):
        return adversarial.gradient_penalty(lambda x: x @ weight, jnp.ones((1, 2)))[0]

    assert jnp.isfinite(jax.grad(penalty)(jnp.zeros(2))).all()


def test_the_penalty_of_a_curved_critic():
    # D(x) = sum x^2 has the slope 2 x: (2 |x| - 1)^2.
    images = jnp.array([[3.0, 4.0], [0.3, 0.4]])
    got = adversarial.gradient_penalty(lambda x: jnp.sum(x**2, -1), images)
    np.testing.assert_allclose(got, [81.0, 0.0], atol=1e-5)


def test_points_between_and_around():
    real, fake = jnp.ones((64, 3, 3)), jnp.zeros((64, 3, 3))
    share = adversarial.between(jax.random.key(0), real, fake)
    assert (share == share[:, :1, :1]).all()  # one share for an image
    assert 0.4 < share.mean() < 0.6
    assert len(np.unique(share)) == 64
    images = jax.random.normal(jax.random.key(1), (50, 8, 8))
    moved = adversarial.around(jax.random.key(2), images) - images
    assert moved.min() >= 0
    assert moved.max() < 0.5 * images.std()
    np.testing.assert_allclose(moved.mean(), 0.25 * images.std(), rtol=0.05)
