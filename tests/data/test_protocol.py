import hashlib

import jax
import numpy as np
import pytest

from jaxdl.data import sources
from jaxdl.data.episodes import EpisodeSpec, sample_meta_batch
from jaxdl.data.protocol import Protocol, random_split, split_classes

SIZES = {"random": (1100, 100, 423), "vinyals": (1028, 172, 423), "lake": (883, 81, 659)}


def fake_omniglot():
    """Omniglot's table of classes over tiny images; class i of all is drawn with value i."""
    names = sources.OMNIGLOT_ALPHABETS
    from importlib import resources

    lines = resources.files("jaxdl.data").joinpath("vinyals.txt").read_text().splitlines()
    sizes = [len(line.split()[1]) for line in lines if not line.startswith("#")]
    assert len(sizes) == len(names) == 50
    evaluation = {20}  # one stand-in; the real sizes follow in the test on real data
    parts = {"train": [], "test": []}
    for alphabet, size in enumerate(sizes):
        part = "test" if alphabet in evaluation else "train"
        parts[part] += [(alphabet, character) for character in range(1, size + 1)]
    data, first = {}, 0
    for part, rows in parts.items():
        index = np.arange(first, first + len(rows))
        first += len(rows)
        data[part] = {
            "image": np.broadcast_to(index[:, None, None, None], (len(rows), 20, 1, 1)),
            "alphabet": np.array([row[0] for row in rows]),
            "character": np.array([row[1] for row in rows]),
        }
    return data


@pytest.mark.parametrize("split", ["random", "vinyals"])
def test_sizes_and_disjointness(split):
    parts = split_classes(fake_omniglot(), split)
    assert tuple(map(len, parts.values())) == SIZES[split]
    classes = np.concatenate([part[:, 0, 0, 0] for part in parts.values()])
    assert sorted(classes) == list(range(1623))


def test_random_split_is_fixed_for_ever_and_has_seeds():
    text = "".join(map(str, random_split(1623, 0)))
    # Printed once; a change would silently put test classes of old checkpoints into training.
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "e223b8b9a46b8a71"
    assert (random_split(1623, 0) != random_split(1623, 1)).any()


def test_random_split_of_other_sizes():
    assert np.bincount(random_split(6000, 0)).tolist() == [5477, 100, 423]
    assert np.bincount(random_split(60, 0)).tolist() == [40, 4, 16]


def test_published_splits_need_omniglot():
    glyphs = {"train": {"image": np.zeros((60, 20, 1, 1), np.uint8)}}
    with pytest.raises(ValueError, match="1623 characters, but this data set has 60"):
        split_classes(glyphs, "vinyals")


@pytest.mark.parametrize("split", list(SIZES))
def test_no_image_of_one_part_is_sampled_in_another(split, real_omniglot):
    """2,000 real episodes of each part: the images that come out, not the tables, are compared."""
    parts = split_classes(real_omniglot, split)
    assert tuple(map(len, parts.values())) == SIZES[split]
    spec = EpisodeSpec(way=5, shot=1, queries=3, rotations="none")
    sample = jax.jit(sample_meta_batch, static_argnums=(2, 3))
    known = {
        image.tobytes(): number
        for number, image in enumerate(
            np.concatenate([part["image"] for part in real_omniglot.values()]).reshape(-1, 28 * 28)
        )
    }
    seen = {}
    for name, images in parts.items():
        batch = sample(jax.random.key(0), images, spec, 2000)
        drawn = [np.asarray(batch[part]["image"]) for part in ("support", "query")]
        pixels = np.rint(255 * np.concatenate(drawn, axis=1)).astype(np.uint8)
        numbers = [known[image.tobytes()] for image in pixels.reshape(-1, 28 * 28)]
        seen[name] = {number // 20 for number in numbers}
    assert len(seen["train"]) > 0.99 * SIZES[split][0]
    assert seen["train"].isdisjoint(seen["validation"] | seen["test"])
    assert seen["validation"].isdisjoint(seen["test"])


def test_protocol_names_everything_in_one_line():
    text = str(Protocol(dataset="omniglot", inner_steps=5, eval_inner_steps=10))
    for fact in ("omniglot", "5-way 1-shot", "seed 0", "rotations random", "lanczos_grey"):
        assert fact in text
    assert "10 inner steps (trained with 5), 1000 episodes x 75 queries" in text
