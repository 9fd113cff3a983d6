"""What every few-shot method promises; a new one is found by walking `jaxdl.methods.fewshot`."""

import dataclasses
import functools
import importlib
import pkgutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl.methods.fewshot
from jaxdl.nn.fewshot import MLP
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest

MODULES = [
    importlib.import_module(f"jaxdl.methods.fewshot.{found.name}")
    for found in pkgutil.iter_modules(jaxdl.methods.fewshot.__path__)
]
METHODS = [module for module in MODULES if hasattr(module, "Config")]
# Those whose network ends in logits; that of the others ends in features.
WITH_LOGITS = ("imaml", "maml", "maml_plus_plus", "meta_sgd", "reptile")
WAY = 3


class Maps(nn.Module):
    """Feature maps, [B, 4, 4, 2]."""

    @nn.compact
    def __call__(self, images, **options):
        return MLP(features=(32,))(images, **options).reshape(-1, 4, 4, 2)


every_method = pytest.mark.parametrize(
    "module", METHODS, ids=lambda module: module.__name__.split(".")[-1]
)


def batch(tasks, way=WAY, shot=2, queries=3, key=0):
    """Images of a class share a pattern."""
    patterns, noise = jax.random.split(jax.random.key(key))
    pattern = jax.random.uniform(patterns, (tasks, way, 1, 6, 6, 1))
    images = pattern + 0.3 * jax.random.normal(noise, (tasks, way, shot + queries, 6, 6, 1))

    def part(images):
        label = jnp.broadcast_to(jnp.arange(way)[:, None], images.shape[:3])
        return {
            "image": images.reshape(tasks, -1, 6, 6, 1),
            "label": label.reshape(tasks, -1).astype(jnp.int32),
        }

    return {
        "support": part(images[:, :, :shot]),
        "query": part(images[:, :, shot:]),
        "class": jnp.tile(jnp.arange(way), (tasks, 1)),
        "rotation": jnp.zeros((tasks, way), jnp.int32),
    }


def small(module, optimizer=None, axis_name=None):
    """A small method of the module, and its learner."""
    changes = {"way": WAY, "train_way": WAY, "classes": WAY, "inner_batch": 5}
    changes |= {"eval_inner_steps": 2, "fit_steps": 5}
    names = {field.name for field in dataclasses.fields(module.Config)}
    config = module.Config(**{name: v for name, v in changes.items() if name in names})
    name = module.__name__.split(".")[-1]
    network = MLP(WAY if name in WITH_LOGITS else None, features=(32,))
    network = Maps() if name == "relation" else network
    method = module.make(config, network=network, optimizer=optimizer, axis_name=axis_name)
    return method, module.learner(config, network=network)


@functools.cache
def trained(module):
    """A compiled step, a compiled prediction, a state and its loss after 0 ... 60 steps."""
    method, learner = small(module, None if "reptile" in module.__name__ else optax.adam(3e-3))
    step, data = jax.jit(method.train_step), batch(2)
    states, losses = [jax.jit(method.init)(jax.random.key(0), data)], []
    for _ in range(60):
        state, metrics = step(states[-1], data)
        states.append(state)
        losses.append(float(metrics["loss"]))
    return step, jax.jit(learner.predict), states, losses


@every_method
def test_the_loss_falls_on_a_fixed_batch(module):
    *_, losses = trained(module)
    assert losses[-1] < 0.8 * losses[0]


@every_method
def test_a_restored_state_goes_on_as_the_saved_one(module, tmp_path):
    step, _, states, _ = trained(module)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(states[5], metadata={})
        restored, _ = checkpoints.restore(states[0])
    assert digest(step(restored, batch(2))[0]) == digest(states[6])


@every_method
def test_only_transductive_predictions_depend_on_the_other_queries(module):
    _, predict, states, _ = trained(module)
    params, extra = states[5].params, states[5].extra
    task = jax.tree.map(lambda leaf: leaf[0], batch(1))
    images = task["query"]["image"]
    together = predict(params, extra, task["support"], images)
    alone = predict(params, extra, task["support"], images[:1])
    learner = small(module)[1]
    assert together["inductive"].shape == (len(learner.measured_after), len(images), WAY)
    np.testing.assert_allclose(alone["inductive"], together["inductive"][:, :1], atol=1e-4)
    difference = alone["transductive"] - together["transductive"][:, :1]
    assert np.abs(difference[-1]).max() > 1e-3


@every_method
def test_predictions_do_not_depend_on_the_order_of_the_support_set(module):
    if "reptile" in module.__name__:
        pytest.skip("its small batches are drawn from the support set by position")
    _, predict, states, _ = trained(module)
    task = jax.tree.map(lambda leaf: leaf[0], batch(1))
    turned = jax.tree.map(lambda leaf: leaf[::-1], task["support"])
    first, second = (
        predict(states[5].params, states[5].extra, support, task["query"]["image"])
        for support in (task["support"], turned)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), first, second)


@every_method
def test_a_way_of_one_is_refused(module):
    with pytest.raises(ValueError, match="way must be at least 2"):
        module.make(dataclasses.replace(module.Config(), way=1))
