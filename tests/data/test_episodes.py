"""The sampler's output, not its tables: what an episode really holds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.episodes import (
    EpisodeSpec,
    choose,
    distort,
    rotate,
    sample_episode,
    sample_meta_batch,
)

CLASSES, DRAWINGS, SIDE = 12, 20, 6
# Every drawing says in its pixels which one it is, in every rotation: value 1 + 20 c + d on a
# corner that rotations move around.
IDENTITY = 1 + DRAWINGS * np.arange(CLASSES)[:, None] + np.arange(DRAWINGS)
IMAGES = np.zeros((CLASSES, DRAWINGS, SIDE, SIDE), np.uint8)
IMAGES[:, :, 0, 0] = IDENTITY


def many(spec, episodes=300, key=0):
    sample = jax.jit(sample_meta_batch, static_argnums=(2, 3))
    return jax.device_get(sample(jax.random.key(key), jnp.asarray(IMAGES), spec, episodes))


def identities(part):
    return np.rint(np.asarray(part["image"]).max((-1, -2, -3)) * 255).astype(int) - 1


def test_shapes_types_and_range():
    batch = many(EpisodeSpec(way=5, shot=2, queries=3), episodes=7)
    assert batch["support"]["image"].shape == (7, 10, SIDE, SIDE, 1)
    assert batch["query"]["image"].shape == (7, 15, SIDE, SIDE, 1)
    assert batch["support"]["image"].dtype == jnp.float32
    assert batch["query"]["label"].dtype == jnp.int32
    assert 0 <= batch["query"]["image"].min() <= batch["query"]["image"].max() <= 1


def test_labels_name_classes_and_drawings_are_disjoint():
    spec = EpisodeSpec(way=4, shot=3, queries=5)
    batch = many(spec)
    support, query = identities(batch["support"]), identities(batch["query"])
    for episode in range(len(support)):
        of_label = np.asarray(batch["class"][episode])
        assert len(set(of_label)) == 4
        for part, ids in (("support", support), ("query", query)):
            label = np.asarray(batch[part]["label"][episode])
            np.testing.assert_array_equal(ids[episode] // DRAWINGS, of_label[label])
        together = np.concatenate([support[episode], query[episode]])
        assert len(set(together)) == len(together)


def test_a_class_gets_every_label_equally_often():
    batch = many(EpisodeSpec(way=4, shot=1, queries=1), episodes=3000)
    counts = np.array(
        [np.bincount(np.asarray(batch["class"])[:, label], minlength=CLASSES) for label in range(4)]
    )
    expected = 3000 / CLASSES
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 80.1  # the 99.9th percentile for 4 * (12 - 1) = 44 degrees is 78.7


def test_rotation_is_of_a_class_and_shared_by_support_and_queries():
    batch = many(EpisodeSpec(way=5, shot=1, queries=2))
    rotations = np.asarray(batch["rotation"])
    assert set(rotations.ravel()) == {0, 1, 2, 3}
    assert (np.ptp(rotations, axis=1) > 0).mean() > 0.9  # 1 - 4^-4 of the episodes mix rotations
    corner = {0: (0, 0), 1: (SIDE - 1, 0), 2: (SIDE - 1, SIDE - 1), 3: (0, SIDE - 1)}
    for part in ("support", "query"):
        for episode in range(20):
            for image, label in zip(
                batch[part]["image"][episode], batch[part]["label"][episode], strict=True
            ):
                row, column = corner[int(rotations[episode, label])]
                assert image[row, column, 0] > 0


def test_rotations_can_be_left_out_or_be_classes():
    assert not np.asarray(many(EpisodeSpec(rotations="none"))["rotation"]).any()
    batch = many(EpisodeSpec(way=5, shot=1, queries=1, rotations="classes"))
    classes, rotations = np.asarray(batch["class"]), np.asarray(batch["rotation"])
    pairs = 4 * classes + rotations
    assert all(len(set(row)) == 5 for row in pairs)
    assert any(len(set(row)) < 5 for row in classes)  # two rotations of one character met


def test_an_episode_is_a_pure_function_of_its_key():
    spec = EpisodeSpec(way=3, shot=1, queries=2)
    eager = sample_episode(jax.random.key(5), jnp.asarray(IMAGES), spec)
    compiled = jax.jit(sample_episode, static_argnums=2)(jax.random.key(5), IMAGES, spec)
    jax.tree.map(np.testing.assert_array_equal, eager, compiled)
    other = sample_episode(jax.random.key(6), jnp.asarray(IMAGES), spec)
    assert (other["class"] != eager["class"]).any() or (other["drawing"] != eager["drawing"]).any()


def test_choose_is_without_replacement_and_reaches_all():
    chosen = np.asarray(
        jax.vmap(lambda k: choose(k, 7, 7))(jax.random.split(jax.random.key(0), 50))
    )
    assert all(sorted(row) == list(range(7)) for row in chosen)
    assert set(chosen[:, 0]) == set(range(7))


@pytest.mark.parametrize("turns", range(4))
def test_rotate_equals_numpy(turns):
    images = np.arange(2 * 9).reshape(2, 3, 3)
    np.testing.assert_array_equal(rotate(images, turns), np.rot90(images, turns, (1, 2)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (EpisodeSpec(way=-5), "way must be at least 2"),
        (EpisodeSpec(way=13), "only 12 classes"),
        (EpisodeSpec(way=49, rotations="classes"), "only 48 classes"),
        (EpisodeSpec(shot=6, queries=15), r"6 \+ 15 = 21.*only 20 drawings"),
        (EpisodeSpec(shot=0), "shot must be at least 1"),
        (EpisodeSpec(queries=0), "queries must be at least 1"),
    ],
)
def test_an_episode_that_cannot_be_filled_is_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        spec.check(IMAGES)


@pytest.mark.parametrize("rotations", ["random", "classes"])
def test_the_classes_of_an_episode_are_of_one_alphabet_that_is_large_enough(rotations):
    alphabet = np.repeat([0, 1, 2], [2, 4, 6])  # of 2, 4 and 6 classes
    spec = EpisodeSpec(way=4, shot=1, queries=1, rotations=rotations, alphabets="one")
    sample = jax.jit(sample_meta_batch, static_argnums=(2, 3))
    batch = sample(jax.random.key(0), jnp.asarray(IMAGES), spec, 600, jnp.asarray(alphabet))
    drawn = alphabet[np.asarray(batch["class"])]
    assert (drawn == drawn[:, :1]).all()
    enough = {"random": [1, 2], "classes": [0, 1, 2]}[rotations]  # 2 classes are 8 with rotations
    counts = np.bincount(drawn[:, 0], minlength=3)
    share = 600 / len(enough)
    for number in range(3):  # four standard deviations of a binomial count
        assert abs(counts[number] - share * (number in enough)) < 4 * share**0.5
    seen = np.asarray(batch["class"])[drawn[:, 0] == 2]
    assert set(seen.ravel()) == set(range(6, 12))
    spec.check(IMAGES, alphabet)
    with pytest.raises(ValueError, match=r"way is 7, but the largest alphabet has only 6 classes"):
        EpisodeSpec(way=7, shot=1, queries=1, alphabets="one").check(IMAGES, alphabet)
    with pytest.raises(ValueError, match="need the alphabet of every class"):
        sample(jax.random.key(0), jnp.asarray(IMAGES), spec, 1, None)


def test_distortion_changes_every_image_in_its_own_way_and_nothing_else():
    batch = many(EpisodeSpec(way=3, shot=1, queries=2), episodes=4)
    for part in ("support", "query"):  # the same image everywhere
        batch[part]["image"] = np.broadcast_to(
            np.linspace(0, 1, SIDE * SIDE).reshape(SIDE, SIDE, 1), batch[part]["image"].shape
        )
    changed = jax.jit(distort)(jax.random.key(1), batch)
    every = np.concatenate(
        [np.reshape(changed[part]["image"], (-1, SIDE * SIDE)) for part in ("support", "query")]
    )
    assert len(np.unique(every, axis=0)) == 4 * 9
    for part in ("support", "query"):
        np.testing.assert_array_equal(changed[part]["label"], batch[part]["label"])
    np.testing.assert_array_equal(changed["class"], batch["class"])
