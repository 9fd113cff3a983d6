"""The five rules on made-up curves, and on those of real training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.ops.diagnosis import RULES, diagnose

STEPS = np.arange(10, 1010, 10.0)
EVALUATED = np.arange(100, 1001, 100.0)


def curve(steps, direction, level, scatter=0.02):
    slope = {"falls": -0.8, "is level": 0.0, "rises": 0.8}[direction]
    noise = np.random.default_rng(len(steps)).normal(size=len(steps))
    return level * np.exp(slope * steps / 1000 + scatter * noise)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule(rule):
    found = diagnose(
        (STEPS, curve(STEPS, rule[0], 2.0)), (EVALUATED, curve(EVALUATED, rule[1], 3.0))
    )
    assert (found.name, found.advice) == RULES[rule]
    assert found.confidence > 0.8
    for chances in (found.train, found.valid):
        assert sum(chances.values()) == pytest.approx(1)


def test_the_start_of_a_run_does_not_count():
    # It fell first, and then stood.
    losses = np.where(STEPS < 400, 5 - STEPS / 100, 1.0)
    found = diagnose((STEPS, losses), (STEPS, losses + 1))
    assert found.name == "stuck"
    assert diagnose((STEPS, losses), (STEPS, losses + 1), part=1.0).name == "learning"


def test_scatter_and_other_pairs_make_it_unsure():
    sure, unsure = (
        diagnose(
            (STEPS, curve(STEPS, "falls", 1, 0.01)),
            (EVALUATED, curve(EVALUATED, "rises", 1, scatter)),
        )
        for scatter in (0.01, 1.0)
    )
    assert sure.confidence > 0.99 > 0.95 > unsure.confidence
    # No rule has a training loss that rises while validation falls.
    odd = diagnose((STEPS, curve(STEPS, "rises", 1)), (STEPS, curve(STEPS, "falls", 1)))
    assert odd.name == "no rule"


def test_losses_of_any_size():
    for scale in (1e-6, 1e6):
        found = diagnose(
            (STEPS, scale * curve(STEPS, "falls", 1)), (STEPS, scale * curve(STEPS, "rises", 1))
        )
        assert found.name == "overfitting"


@pytest.mark.parametrize(
    ("losses", "message"),
    [([1.0, 2.0], "has 2 training losses; at least 3"), ([1.0, np.nan, 1.0, 1.0], "not finite")],
)
def test_too_little_or_not_finite(losses, message):
    steps = np.arange(1.0, len(losses) + 1)
    with pytest.raises(ValueError, match=message):
        diagnose((steps, np.array(losses)), (steps, np.ones(len(losses))), part=1.0)


def losses_of(learned, reported, judged, *, rate, hidden=64, steps=200):
    """Trains a perceptron on `learned`; returns the curves of losses on the two others."""
    keys = jax.random.split(jax.random.key(0))
    params = [
        jax.random.normal(keys[0], (20, hidden)) / 20**0.5,
        0.1 * jax.random.normal(keys[1], (hidden, 2)) / hidden**0.5,
    ]

    def loss(params, data):
        logits = jnp.tanh(data[0] @ params[0]) @ params[1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, data[1]).mean()

    def step(params, _):
        seen = loss(params, reported), loss(params, judged)
        gradient = jax.grad(loss)(params, learned)
        return jax.tree.map(lambda p, g: p - rate * g, params, gradient), seen

    _, (train, valid) = jax.jit(lambda p: jax.lax.scan(step, p, length=steps))(params)
    steps = np.arange(1.0, steps + 1)
    return (steps, np.asarray(train)), (steps[9::10], np.asarray(valid)[9::10])


@pytest.mark.parametrize("name", [name for name, _ in RULES.values()])
def test_real_curves(name):
    def task(key, size, wrong=0.0):
        inputs_key, wrong_key = jax.random.split(jax.random.key(key))
        inputs = jax.random.normal(inputs_key, (size, 20))
        label = (inputs[:, 0] + inputs[:, 1] > 0).astype(int)
        return inputs, jnp.where(jax.random.bernoulli(wrong_key, wrong, (size,)), 1 - label, label)

    many, new, few = task(0, 500), task(1, 500), task(2, 40, wrong=0.3)
    curves = {
        "learning": lambda: losses_of(many, many, new, rate=0.05),
        # Forty examples, a third of them labelled wrongly, are learned by heart.
        "overfitting": lambda: losses_of(few, few, new, rate=0.2),
        "stuck": lambda: losses_of(many, many, new, rate=1e-5),
        # The images of the training set are blank where its loss is taken.
        "wrong data": lambda: losses_of(many, (0 * many[0], many[1]), new, rate=0.05),
        # Uphill
        "diverging": lambda: losses_of(many, many, new, rate=-0.01),
    }
    found = diagnose(*curves[name]())
    assert found.name == name
    assert found.confidence > 0.9
