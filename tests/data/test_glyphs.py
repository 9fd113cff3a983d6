"""Glyphs: pure, reproducible, and like real Omniglot in what can be measured."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import glyphs


@pytest.fixture(scope="module")
def image():
    """Drawings uint8 [class, drawer, 28, 28] of sixteen alphabets."""
    return glyphs.load(classes=512)["train"]["image"]


@pytest.fixture(scope="module")
def draw():
    return jax.jit(glyphs.draw)


@pytest.fixture(scope="module")
def characters():
    """Four characters, made together."""
    return _jit(jax.vmap(glyphs.character))(_keys(0, 1, 2, 3))


def _jit(function):
    """Compiles in half the time, for few calls."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def _keys(*seeds):
    return jax.vmap(jax.random.key)(jnp.array(seeds))


def _pick(tree, k):
    return jax.tree.map(lambda x: x[k], tree)


def test_range_and_type(draw, characters):
    drawing = draw(jax.random.key(9), _pick(characters, 0))
    chex.assert_shape(drawing, (28, 28))
    chex.assert_type(drawing, jnp.float32)
    assert drawing.min() == 0
    assert 0.5 < drawing.max() <= 1


def test_same_keys_same_drawing_other_keys_other_drawing(draw, characters):
    one, other = _pick(characters, 0), _pick(characters, 1)
    drawing = draw(jax.random.key(9), one)
    np.testing.assert_array_equal(drawing, draw(jax.random.key(9), one))
    assert np.abs(drawing - draw(jax.random.key(8), one)).max() > 0.5
    assert np.abs(drawing - draw(jax.random.key(9), other)).max() > 0.5


# Rounding moves points by far less than a pixel and ink by far less than a grey level.
def test_jit_equals_eager(draw, characters):
    made, key = _pick(characters, 0), jax.random.key(9)
    np.testing.assert_allclose(glyphs.draw(key, made), draw(key, made), atol=1e-3)


def test_vmap_equals_loop(draw, characters):
    alone = _jit(glyphs.character)
    drawings = jax.jit(jax.vmap(glyphs.draw))(_keys(9, 8, 7, 6), characters)
    for k in range(4):
        made = alone(jax.random.key(k))
        chex.assert_trees_all_close(_pick(characters, k), made, atol=1e-4)
        drawing = draw(jax.random.key(9 - k), made)
        np.testing.assert_allclose(drawings[k], drawing, atol=1e-3)


def test_load_has_the_form_of_omniglot(image):
    data = glyphs.load(classes=40)
    assert data.keys() == {"train"}
    fields = data["train"]
    assert {name: (x.dtype, x.shape) for name, x in fields.items()} == {
        "image": (np.uint8, (40, 20, 28, 28)),
        "alphabet": (np.int32, (40,)),
        "character": (np.int32, (40,)),
        "drawer": (np.int32, (40, 20)),
    }
    np.testing.assert_array_equal(fields["image"], image[:40])  # fewer classes: the first of more
    pairs = np.stack([fields["alphabet"], fields["character"]], 1)
    assert len(np.unique(pairs, axis=0)) == 40
    np.testing.assert_array_equal(fields["drawer"][3], np.arange(20))


def test_other_seed_other_glyphs(image):
    other = glyphs.load(classes=512, seed=1)["train"]["image"]
    digests = [{drawing.tobytes() for drawing in x.reshape(-1, 784)} for x in (image, other)]
    assert len(digests[0]) > 0.99 * 512 * 20  # nor do drawings repeat within a seed
    assert not digests[0] & digests[1]


@pytest.mark.parametrize("counts", [{"classes": 0}, {"classes": 5, "drawers": 0}])
def test_load_refuses_none(counts):
    with pytest.raises(ValueError, match="at least 1 of each"):
        glyphs.load(**counts)


def test_no_empty_drawing(image):
    assert image.max((2, 3)).min() > 127
    edge = np.concatenate(
        [image[..., 0, :], image[..., :, 0], image[..., 27, :], image[..., :, 27]], -1
    )
    assert (edge > 127).mean() < 0.01  # nor one that leaves the canvas


# Bands around what the 964 background classes of real Omniglot measure, 28x28 by Lanczos: the
# figure in the comment. Glyphs are a little more varied on purpose.
def test_ink_is_like_omniglots(image):
    ink = image.mean((2, 3)) / 255
    assert 0.065 < ink.mean() < 0.095  # 0.081
    assert 0.017 < ink.mean(1).std() < 0.035  # 0.025 between classes
    assert 0.006 < ink.std(1).mean() < 0.016  # 0.012 within
    grey = image[image > 10]
    assert 0.2 < (grey > 229).mean() < 0.4  # 0.28 of a stroke's pixels are black


def test_extent_and_place_are_like_omniglots(image):
    columns, rows = (image > 76).any(2), (image > 76).any(3)
    (width, x), (height, y) = _extent(columns), _extent(rows)
    assert 13 <= np.median(width) <= 20  # 15
    assert 14 <= np.median(height) <= 20  # 17
    assert abs(x.mean() - 13) < 0.7  # 13.0
    assert abs(y.mean() - 13) < 0.7  # 13.0
    assert 0.9 < x.std(1).mean() < 1.8  # 1.4 pixels between drawers
    size = np.log(width * height) / 2
    assert 0.09 < size.std(1).mean() < 0.17  # 0.12 between drawers
    assert 0.15 < size.mean(1).std() < 0.35  # 0.22 between classes


def _extent(filled):
    """Width and middle of the filled part along the last axis."""
    first, last = filled.argmax(-1), filled.shape[-1] - 1 - filled[..., ::-1].argmax(-1)
    return last - first + 1, (first + last) / 2


def test_classes_are_as_hard_to_tell_apart_as_omniglots(image):
    """5-way 1-shot by the nearest neighbour in pixels: 0.45 on real characters."""
    rng = np.random.default_rng(0)
    pixels = image.reshape(512, 20, 784).astype(np.float32) / 255
    right = []
    for _ in range(400):
        classes, drawers = rng.choice(512, 5, replace=False), rng.choice(20, 4, replace=False)
        support, query = pixels[classes, drawers[0]], pixels[classes][:, drawers[1:]]
        distance = np.square(query[:, :, None] - support).sum(-1)
        right.append((distance.argmin(-1) == np.arange(5)[:, None]).mean())
    assert 0.35 < np.mean(right) < 0.65
