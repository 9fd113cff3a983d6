"""Chance where nothing can be known, and more than chance where something can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.episodes import EpisodeSpec, sample_episode
from jaxdl.methods.fewshot import maml
from jaxdl.nn.fewshot import MLP
from jaxdl.train.evaluation import compile_evaluation
from jaxdl.train.step import compile_step

WAY, EPISODES = 5, 200


def images(seed, classes=60):
    """Drawings of a class share a noisy pattern."""
    random = np.random.default_rng(seed)
    patterns = random.integers(0, 2, (classes, 1, 8, 8))
    noise = random.integers(0, 2, (classes, 20, 8, 8))
    keep = random.random((classes, 20, 8, 8)) < 0.7
    return jnp.asarray(255 * np.where(keep, patterns, noise), jnp.uint8)


def honest(key, data):
    return sample_episode(key, data, EpisodeSpec(way=WAY, shot=1, queries=5))


def shuffled(key, data):
    """The queries' labels say nothing about their images."""
    episode = honest(key, data)
    label = jax.random.permutation(jax.random.fold_in(key, 7), episode["query"]["label"])
    return episode | {"query": episode["query"] | {"label": label}}


def measure(sample, steps):
    method = maml.make(
        maml.Config(way=WAY, eval_inner_steps=1), network=MLP(WAY, features=(64, 32))
    )

    def batch(key, data):
        return jax.vmap(sample, (0, None))(jax.random.split(key, 16), data)

    state = jax.jit(lambda key: method.init(key, batch(key, images(0))))(jax.random.key(0))
    if steps:
        step = compile_step(method.train_step, sample=batch, steps_per_call=steps)
        state, _ = step(state, images(0))
    evaluate = compile_evaluation(method.eval_step, sample, per_call=50)
    return evaluate(state, images(1), jax.random.key(1), EPISODES)


@pytest.mark.parametrize("mode", ["transductive", "inductive"])
def test_untrained_is_at_chance_before_adaptation(mode):
    accuracy = measure(honest, steps=0)[f"accuracy/{mode}/after_0_steps"]
    assert accuracy.mean == pytest.approx(1 / WAY, abs=1e-6)  # it calls everything 0


def test_trained_on_shuffled_labels_is_at_chance_and_on_honest_ones_is_not():
    lost, found = measure(shuffled, steps=100), measure(honest, steps=100)
    for mode in ("transductive", "inductive"):
        moments = lost[f"accuracy/{mode}"]
        # Three standard errors of 200 x 25 answers that are right once in five.
        assert abs(moments.mean - 1 / WAY) < 3 * (0.2 * 0.8 / (EPISODES * 25)) ** 0.5
        assert found[f"accuracy/{mode}"].mean > 0.5
