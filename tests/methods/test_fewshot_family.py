"""What every few-shot method promises besides the contract; a new one is found by walking."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.methods.fewshot import examples, maml, protonet
from jaxdl.methods.fewshot.learner import embed
from jaxdl.nn.norm import BatchNorm
from jaxdl.nn.resnet import ResNet
from tests.methods.test_contract import METHODS, made, trained

CLASSIFIERS = [
    module for module in METHODS if ".fewshot." in module.__name__ and hasattr(module, "learner")
]
every_method = pytest.mark.parametrize(
    "module", CLASSIFIERS, ids=lambda module: module.__name__.split(".")[-1]
)


def one_task(module):
    task = jax.tree.map(lambda leaf: leaf[:1], trained(module).batch)
    return {part: task[part] for part in ("support", "query")}


@every_method
def test_only_transductive_predictions_depend_on_the_other_queries(module):
    kept, task = trained(module), one_task(module)
    predict = jax.jit(kept.method.predict)
    together = predict(kept.states[-1], task)
    query = jax.tree.map(lambda leaf: leaf[:, :1], task["query"])
    alone = predict(kept.states[-1], task | {"query": query})
    assert together["inductive"].shape == (1, task["query"]["image"].shape[1], examples.WAY)
    np.testing.assert_allclose(alone["inductive"], together["inductive"][:, :1], atol=1e-4)
    difference = alone["transductive"] - together["transductive"][:, :1]
    assert np.abs(difference).max() > 1e-3


@every_method
def test_predictions_do_not_depend_on_the_order_of_the_support_set(module):
    if "reptile" in module.__name__:
        pytest.skip("its small batches are drawn from the support set by position")
    kept, task = trained(module), one_task(module)
    turned = jax.tree.map(lambda leaf: leaf[:, ::-1], task["support"])
    predict = jax.jit(kept.method.predict)
    first, second = (
        predict(kept.states[-1], task | {"support": support})
        for support in (task["support"], turned)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), first, second)


@every_method
def test_a_way_of_one_is_refused(module):
    with pytest.raises(ValueError, match="way must be at least 2"):
        module.make(dataclasses.replace(module.Config(), way=1))


@pytest.mark.parametrize("module", [maml, protonet], ids=lambda module: module.__name__)
def test_any_network_can_serve(module):
    """A residual network, whose normalisation keeps an average over calls."""
    config, _, batch = module.example()
    network = ResNet((1,), classes=examples.WAY, features=4, stem="small")
    method = module.make(config, network=network)
    state, metrics = jax.jit(method.train_step)(method.init(jax.random.key(0), batch), batch)
    assert np.isfinite(metrics["loss"])
    found = jax.jit(method.predict)(state, jax.tree.map(lambda leaf: leaf[:1], batch))
    assert np.isfinite(found["inductive"]).all()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_images_are_normalised_with_the_statistics_of_others(momentum):
    """Of one call, whatever share of an average the network keeps; by hand."""

    class Normalised(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            normalise = BatchNorm(momentum=momentum, epsilon=0.0)
            return normalise(images.reshape(len(images), -1), use_running_average=not train)

    support, images = jnp.array([[1.0], [3.0], [5.0]]), jnp.array([[3.0], [7.0]])
    params = Normalised().init(jax.random.key(0), support)["params"]
    found = embed(Normalised(), params, support, images, inductive=True)
    # The support set's mean is 3, its variance 8 / 3.
    np.testing.assert_allclose(found, [[0.0], [4 / (8 / 3) ** 0.5]], atol=1e-5)


def test_the_example_is_what_the_methods_take():
    _, batch = made(CLASSIFIERS[0])
    assert batch["support"]["label"].shape == (8, 2 * examples.WAY)
