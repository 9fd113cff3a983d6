import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.nn.classify import MLP
from jaxdl.nn.spatial_transformer import SpatialTransformer, TransformedClassifier

IMAGES = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))


class Flat(nn.Module):
    @nn.compact
    def __call__(self, images, *, train=False):
        return images.reshape(len(images), -1)


def looked_at(theta, size=8):
    module = SpatialTransformer(Flat(), size)
    variables = module.init(jax.random.key(0), IMAGES)
    dense = variables["params"]["Dense_0"] | {"bias": jnp.array(theta, float).reshape(-1)}
    return module.apply({"params": {"Dense_0": dense}}, IMAGES)[0]


def test_begins_with_the_middle():
    module = SpatialTransformer(Flat(), 8)
    (seen, theta), _ = module.init_with_output(jax.random.key(0), IMAGES)
    np.testing.assert_allclose(seen, IMAGES, atol=1e-6)
    np.testing.assert_array_equal(theta[0], [[1, 0, 0], [0, 1, 0]])
    # 4 pixels over the middle 3 / 7 of the side: pixels 2 to 5.
    (seen, _), _ = SpatialTransformer(Flat(), 4, 3 / 7).init_with_output(jax.random.key(0), IMAGES)
    np.testing.assert_allclose(seen, IMAGES[:, 2:6, 2:6], atol=1e-6)


def test_maps_by_hand():
    # A pixel is 2 / 7 of the half side.
    moved = looked_at([[1, 0, 2 / 7], [0, 1, 0]])
    np.testing.assert_allclose(moved[:, :-1], IMAGES[:, 1:], atol=1e-5)
    mirrored = looked_at([[1, 0, 0], [0, -1, 0]])
    np.testing.assert_allclose(mirrored, IMAGES[:, :, ::-1], atol=1e-5)
    turned = looked_at([[0, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(turned, IMAGES.swapaxes(1, 2), atol=1e-5)


def test_learns_where_to_look():
    network = TransformedClassifier(SpatialTransformer(Flat(), 4, 0.5, shrink=2), MLP((4,), 3))
    variables = network.init(jax.random.key(1), IMAGES)
    gradient = jax.grad(lambda v: network.apply(v, IMAGES)[:, 0].sum())(variables)["params"]
    assert (gradient["transformer"]["Dense_0"]["bias"] != 0).all()
    _, seen = network.apply(variables, IMAGES, mutable=["intermediates"])
    assert seen["intermediates"]["seen"][0].shape == (2, 4, 4, 1)
