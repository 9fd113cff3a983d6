import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.nn.classify import MLP
from jaxdl.nn.spatial_transformer import Keypoints, SpatialTransformer, TransformedClassifier

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


def test_keypoints_are_places():
    images = jnp.zeros((2, 8, 8, 1)).at[0, 2, 5].set(1).at[1, 7, 0].set(1)
    module = Keypoints(channels=(), points=1)
    # The middle tap of a 3 x 3 kernel: a softmax over 100 in one pixel and 0 in all others.
    kernel = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(100)
    variables = module.init(jax.random.key(0), images)
    assert jax.tree.leaves(variables)[0].shape == kernel.shape
    found = module.apply(jax.tree.map(lambda _: kernel, variables), images)
    # Pixel 2 of 8 is at -1 + 2 * 2 / 7.
    np.testing.assert_allclose(found, [[-3 / 7, 3 / 7], [1, -1]], atol=1e-6)


def test_keypoints_are_normalised_with_stored_statistics():
    module = Keypoints((4, 4), 3)
    variables = module.init(jax.random.key(0), IMAGES)
    assert module.apply(variables, IMAGES).shape == (2, 6)
    alone = jnp.concatenate([module.apply(variables, image[None]) for image in IMAGES])
    np.testing.assert_allclose(module.apply(variables, IMAGES), alone, atol=1e-6)
    _, new = module.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
    before, after = jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(new)
    assert all((a != b).any() for a, b in zip(before, after, strict=True))


def test_learns_where_to_look():
    network = TransformedClassifier(SpatialTransformer(Flat(), 4, 0.5, shrink=2), MLP((4,), 3))
    variables = network.init(jax.random.key(1), IMAGES)
    gradient = jax.grad(lambda v: network.apply(v, IMAGES)[:, 0].sum())(variables)["params"]
    assert (gradient["transformer"]["Dense_0"]["bias"] != 0).all()
    _, seen = network.apply(variables, IMAGES, mutable=["intermediates"])
    assert seen["intermediates"]["seen"][0].shape == (2, 4, 4, 1)
