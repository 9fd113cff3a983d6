"""Parameter counts are the notes' or the papers', forward passes those of the shapes promised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.classify import CNN, MLP, LearnableSigmoid, LeNet, vgg
from jaxdl.nn.resnet import Block, ResNet, SqueezeExcitation, resnet


def parameters(network, *shape, name="params"):
    variables = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(shape))
    return sum(leaf.size for leaf in jax.tree.leaves(variables[name]))


@pytest.mark.parametrize(
    ("network", "shape", "count"),
    [
        # 160 + 4,640 + 25,104 + 170, the notes' MNIST CNN
        (CNN(((16,), (32,)), (16,), activate=False), (1, 28, 28, 1), 30_074),
        (MLP(), (1, 28, 28, 1), 575_050),
        (MLP((256,)), (1, 28, 28, 1), 203_530),
        (MLP(()), (1, 28, 28, 1), 7_850),
        (LeNet(), (1, 28, 28, 1), 61_706),
        (CNN(((32, 32), (64, 64)), (), batch_norm=True), (1, 28, 28, 1), 96_554),
        # torchvision's
        (vgg(11), (1, 224, 224, 3), 132_863_336),
        (vgg(16), (1, 224, 224, 3), 138_357_544),
        (resnet(18), (1, 64, 64, 3), 11_689_512),
        (resnet(34), (1, 64, 64, 3), 21_797_672),
        (resnet(50), (1, 64, 64, 3), 25_557_032),
        # He et al., section 4.2, whose shortcuts have no parameters: 0.27 million
        (resnet(18, stem="small", classes=10), (1, 32, 32, 3), 11_173_962),
    ],
)
def test_parameter_counts(network, shape, count):
    assert parameters(network, *shape) == count


def test_blocks_have_the_notes_counts():
    def kernels(block):
        variables = jax.eval_shape(block.init, jax.random.key(0), jnp.zeros((1, 8, 8, 256)))
        return sum(leaf.size for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim == 4)

    assert kernels(Block(256)) == 2 * 9 * 256 * 256 == 1_179_648
    assert kernels(Block(64, bottleneck=True)) == 256 * 64 + 9 * 64 * 64 + 64 * 256 == 69_632


@pytest.mark.parametrize(
    "network",
    [
        MLP((8,), dropout=0.5),
        CNN(((4,), (4, 4)), (8,), batch_norm=True, dropout=0.5),
        LeNet(),
        ResNet((1, 1), classes=10, features=4, stem="small", squeeze=2),
        ResNet((1, 1), True, classes=10, features=4),
    ],
)
def test_training_and_test(network):
    images = jax.random.uniform(jax.random.key(0), (4, 28, 28, 1))
    variables = jax.jit(network.init)(jax.random.key(1), images)
    statistics = variables.get("batch_stats", {})

    @jax.jit
    def train(key):
        return network.apply(
            variables, images, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        )

    logits, seen = train(jax.random.key(2))
    assert logits.shape == (4, 10)
    for before, after in zip(
        jax.tree.leaves(statistics), jax.tree.leaves(seen.get("batch_stats", {})), strict=True
    ):
        assert (before != after).any()
    again, other = train(jax.random.key(2))[0], train(jax.random.key(3))[0]
    np.testing.assert_array_equal(logits, again)
    assert (logits != other).any() == hasattr(network, "dropout")
    test = jax.jit(network.apply)
    # In a test an image's logits are its own.
    np.testing.assert_allclose(
        test(variables, images)[:2], test(variables, images[:2]), rtol=1e-4, atol=1e-5
    )


def test_without_activations_convolutions_are_linear_up_to_the_pooling():
    network = CNN(((3,),), (), activate=False)
    images = jax.random.normal(jax.random.key(0), (2, 4, 4, 1))
    variables = network.init(jax.random.key(1), images)
    none = network.apply(variables, jnp.zeros_like(images))
    one, twice = (network.apply(variables, factor * images) for factor in (1, 2))
    np.testing.assert_allclose(twice - none, 2 * (one - none), rtol=1e-4, atol=1e-5)


def test_features_can_be_read_without_changing_a_network():
    network, images = CNN(((2,),), (5,)), jnp.ones((3, 4, 4, 1))
    variables = network.init(jax.random.key(0), images)
    logits, seen = network.apply(variables, images, mutable=["intermediates"])
    [features] = seen["intermediates"]["features"]
    assert features.shape == (3, 5)
    dense = variables["params"]["Dense_1"]
    np.testing.assert_allclose(features @ dense["kernel"] + dense["bias"], logits, rtol=1e-5)


def test_learnable_sigmoid():
    module, inputs = LearnableSigmoid(), jnp.array([[0.0, 10.0]])
    out, variables = module.init_with_output(jax.random.key(0), inputs)
    assert variables["params"]["slope"] == np.float32(0.1)
    np.testing.assert_allclose(out, [[0.5, 1 / (1 + np.exp(-1))]], rtol=1e-6)
    slope = jax.grad(lambda v: module.apply(v, inputs).sum())(variables)["params"]["slope"]
    # 10 s (1 - s) of the second entry
    np.testing.assert_allclose(slope, 10 * out[0, 1] * (1 - out[0, 1]), rtol=1e-5)


def test_squeeze_and_excitation_by_hand():
    images = jnp.stack([jnp.full((2, 2), 1.0), jnp.full((2, 2), 3.0)], -1)[None]
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0], [1.0]]), "bias": jnp.array([-2.0])},  # relu(4 - 2)
        "Dense_1": {"kernel": jnp.array([[0.0, 1.0]]), "bias": jnp.array([0.0, -2.0])},  # 0, 0
    }
    out = SqueezeExcitation(2).apply({"params": params}, images)
    np.testing.assert_allclose(out, 0.5 * images)


@pytest.mark.parametrize("make", [vgg, resnet])
def test_unknown_depths_are_refused(make):
    with pytest.raises(ValueError, match="layers, got 12"):
        make(12)
