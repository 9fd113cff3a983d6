import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.fewshot import MLP, Conv4

IMAGES = jax.random.uniform(jax.random.key(0), (10, 28, 28, 1))
WIDENING = Conv4(5, features=(8, 16, 32, 64), downsampling="pooled")
NETWORKS = [Conv4(5), Conv4(5, downsampling="pooled"), WIDENING, MLP(5)]


def parameters(network):
    return jax.jit(network.init)(jax.random.key(1), IMAGES)["params"]


def test_parameter_counts_by_hand():
    def count(network):
        return sum(p.size for p in jax.tree.leaves(jax.eval_shape(lambda: parameters(network))))

    # 3x3 kernels and biases, scale and offset of four normalisations, the head on 2x2x64.
    blocks = (9 * 1 * 64 + 64) + 3 * (9 * 64 * 64 + 64) + 4 * 2 * 64
    assert count(Conv4(5)) == blocks + 256 * 5 + 5
    assert count(Conv4(5, downsampling="pooled")) == blocks + 64 * 5 + 5  # 28, 14, 7, 3, 1
    kernels = 9 * (1 * 32 + 32 * 64 + 64 * 128 + 128 * 256)
    widening = Conv4(5, features=(32, 64, 128, 256), downsampling="pooled")
    assert count(widening) == kernels + 3 * (32 + 64 + 128 + 256) + 256 * 5 + 5
    widths = (784, 256, 128, 64, 64)
    dense = sum(a * b + b + 2 * b for a, b in itertools.pairwise(widths))
    assert count(MLP(5)) == dense + 64 * 5 + 5


@pytest.mark.parametrize("network", NETWORKS)
def test_starts_undecided(network):
    params = {"params": parameters(network)}
    logits, _ = jax.jit(
        lambda params: network.apply(params, IMAGES, train=True, mutable=["batch_stats"])
    )(params)
    np.testing.assert_array_equal(logits, jnp.zeros((10, 5)))


def features(network, images, **kwargs):
    """Logits of a head that is not zero."""
    params = parameters(network)
    params["Dense_0" if isinstance(network, Conv4) else "Dense_4"]["kernel"] += jax.random.normal(
        jax.random.key(2), (1, 5)
    )
    variables = {"params": params, **kwargs.pop("statistics", {})}
    return jax.jit(lambda *arguments: network.apply(*arguments, **kwargs))(variables, images)


@pytest.mark.parametrize("network", NETWORKS)
def test_stored_statistics_are_those_of_the_last_batch(network):
    logits, statistics = features(network, IMAGES, train=True, mutable=["batch_stats"])
    again = features(network, IMAGES, statistics=statistics)
    np.testing.assert_allclose(again, logits, atol=1e-4)
    alone = features(network, IMAGES[:1], statistics=statistics)
    np.testing.assert_allclose(alone, logits[:1], atol=1e-4)
    alone, _ = features(network, IMAGES[:1], train=True, mutable=["batch_stats"])
    assert np.abs(alone - logits[:1]).max() > 1e-2


@pytest.mark.parametrize("kind", [Conv4, MLP])
def test_group_normalisation_ignores_the_other_images(kind):
    network = kind(5, normalisation="group")
    np.testing.assert_allclose(
        features(network, IMAGES)[:1], features(network, IMAGES[:1]), rtol=1e-5, atol=1e-5
    )
