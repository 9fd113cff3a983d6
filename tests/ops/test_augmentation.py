import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxdl.ops.augmentation import affine, random_affine

IMAGE = jax.random.uniform(jax.random.key(0), (9, 7, 2))


def test_nothing_a_quarter_turn_and_a_move():
    np.testing.assert_allclose(affine(IMAGE, jnp.eye(2), jnp.zeros(2)), IMAGE, atol=1e-6)
    moved = affine(IMAGE, jnp.eye(2), jnp.array([2.0, -1.0]))
    np.testing.assert_allclose(moved[:-2, 1:], IMAGE[2:, :-1], atol=1e-6)
    assert not moved[-2:].any()
    assert not moved[:, 0].any()
    square = IMAGE[:7]
    turned = affine(square, jnp.array([[0.0, 1.0], [-1.0, 0.0]]), jnp.zeros(2))
    np.testing.assert_allclose(turned, jnp.rot90(square), atol=1e-6)


def test_equals_scipys():
    matrix, shift = np.array([[0.9, 0.2], [-0.3, 1.1]]), np.array([0.4, -0.7])
    centre = (np.array(IMAGE.shape[:2]) - 1) / 2
    offset = centre - matrix @ centre + shift
    expected = np.stack(
        [
            ndimage.affine_transform(
                np.pad(np.asarray(IMAGE[..., c], float), 3),
                matrix,
                offset + 3 - matrix @ [3, 3],
                order=1,
            )[3:-3, 3:-3]
            for c in range(2)
        ],
        -1,
    )
    np.testing.assert_allclose(affine(IMAGE, matrix, shift), expected, atol=1e-5)


def test_random_changes_are_small_different_and_repeatable():
    disc = jnp.hypot(*jnp.mgrid[-13.5:14, -13.5:14])[..., None] < 8
    disc = disc.astype(float)
    keys = jax.random.split(jax.random.key(1), 50)
    changed = jax.vmap(random_affine, (0, None))(keys, disc)
    assert len(np.unique(np.asarray(changed), axis=0)) == 50
    np.testing.assert_allclose(changed[3], random_affine(keys[3], disc), atol=1e-4)
    overlap = (changed * disc).sum((1, 2, 3)) / disc.sum()
    assert 0.6 < overlap.min() < 0.95
    assert changed.min() >= 0
    assert changed.max() <= 1.0001
    still = random_affine(keys[0], disc, degrees=0.0, shear=0.0, scale=0.0, shift=0.0)
    np.testing.assert_allclose(still, disc, atol=1e-5)
