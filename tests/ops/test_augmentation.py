import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxdl.ops.augmentation import affine, brightness, flip, mixup, noise, random_affine

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


def test_a_result_of_another_size():
    seen = affine(IMAGE, jnp.eye(2), jnp.zeros(2), size=(5, 3))
    np.testing.assert_allclose(seen, IMAGE[2:7, 2:5], atol=1e-6)


def test_flips_half():
    flipped = jax.vmap(flip, (0, None))(jax.random.split(jax.random.key(1), 400), IMAGE)
    mirrored = (flipped == IMAGE[:, ::-1]).all((1, 2, 3))
    assert ((flipped == IMAGE).all((1, 2, 3)) | mirrored).all()
    assert 150 < mirrored.sum() < 250  # 5 standard deviations


def test_brightness_is_one_factor_and_noise_is_one_for_each_pixel():
    dark = 0.5 * IMAGE
    brighter = brightness(jax.random.key(0), dark, 0.5)
    factor = brighter / dark
    np.testing.assert_allclose(factor, factor[0, 0, 0], rtol=1e-5)
    assert 0.5 <= factor[0, 0, 0] <= 1.5
    assert brightness(jax.random.key(0), 10 * IMAGE, 0.1).max() == 1
    grey = jnp.full((100, 100, 1), 0.5)
    difference = noise(jax.random.key(0), grey, 0.1) - grey
    np.testing.assert_allclose(difference.std(), 0.1, rtol=0.05)
    np.testing.assert_allclose(difference.mean(), 0, atol=0.005)


def test_mixup_mixes_images_and_targets_alike():
    images = jnp.arange(4.0).reshape(4, 1, 1, 1)
    mixed, targets = mixup(jax.random.key(0), images, jnp.eye(4), 1.0)
    np.testing.assert_allclose(targets.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], targets @ jnp.arange(4.0), rtol=1e-6)
    assert (targets[0, 1:3] == 0).all()  # the first is mixed with the last
    # Two of the same class keep it.
    same = jnp.tile(jnp.array([[1.0, 0.0]]), (50, 1))
    _, targets = mixup(jax.random.key(1), jnp.zeros((50, 1, 1, 1)), same, 0.2)
    np.testing.assert_allclose(targets, same, atol=1e-6)
