import gzip
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from jaxdl.data import prepare, sources


def assert_same(a, b):
    for split, fields in a.items():
        for field, array in fields.items():
            np.testing.assert_array_equal(array, b[split][field], strict=True)


def test_zips_and_tree_give_the_same_data_set(zips, small_tfds, tmp_path):
    prepare.download_and_prepare("omniglot", tmp_path / "new", zips)
    got = sources.load("omniglot", data_dir=tmp_path / "new")
    assert_same(sources.load("omniglot", data_dir=small_tfds), got)
    assert [f.name for f in (tmp_path / "new").iterdir()] == ["omniglot"]


def test_tfds_reads_what_was_prepared(small_tfds):
    import tensorflow_datasets as tfds

    source = tfds.data_source("omniglot", split="train", data_dir=small_tfds, download=False)
    assert len(source) == 80
    assert source[0]["image"].shape == (105, 105, 3)
    builder = tfds.builder("omniglot", data_dir=small_tfds)
    assert builder.is_prepared()
    assert builder.info.module_name == "tensorflow_datasets.image_classification.omniglot"
    assert builder.info.features["label"].int2str(3) == "Angelic_0"


def put(zips, name, content, archive="images_background"):
    with zipfile.ZipFile(zips / f"{archive}.zip", "a") as out:
        out.writestr(name, content)


def first_png(zips):
    with zipfile.ZipFile(zips / "images_background.zip") as archive:
        return archive.read(archive.namelist()[0])


@pytest.mark.parametrize(
    ("member", "message"),
    [
        ("images_background/Klingon/character01/0001_01.png", "not a character of Omniglot"),
        ("images_background/Latin/character01/1624_01.png", "not a character of Omniglot"),
        ("images_background/Latin/character01/0001_01.png", "0001"),
        ("images_background/Latin/character01/0009_01.png", "5 characters, expected 4"),
        ("images_background/Angelic/character01/0004_21.png", "drawings of Angelic/character01"),
        ("copy/Angelic/character01/0004_20.png", "drawings of Angelic/character01"),
        ("../../../Angelic/character01/0004_20.png", "drawings of Angelic/character01"),
    ],
)
def test_wrong_trees_are_refused(zips, tmp_path, member, message):
    put(zips, member, first_png(zips))
    with pytest.raises(prepare.PrepareError, match=message):
        prepare.download_and_prepare("omniglot", tmp_path / "out", zips)
    assert {f.name for f in tmp_path.iterdir()} == {"zips"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no image", "not a sound PNG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "not a sound PNG"),
        (bytes(1 << 17), "too large"),
    ],
)
def test_wrong_images_are_refused(zips, tmp_path, content, message):
    put(zips, "images_background/Latin/character01/0009_01.png", content)
    with pytest.raises(prepare.PrepareError, match=message):
        prepare.download_and_prepare("omniglot", tmp_path / "out", zips)


def test_other_files_in_an_archive_are_ignored(zips, tmp_path):
    for name in ("__MACOSX/images_background/._0001_01.png", "/etc/passwd", "../evil.png"):
        put(zips, name, b"x" * (1 << 20))
    prepare.download_and_prepare("omniglot", tmp_path / "out", zips)
    assert {f.name for f in tmp_path.iterdir()} == {"zips", "out"}


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_damaged_zip_is_refused(zips, tmp_path, keep):
    path = zips / "images_background.zip"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(prepare.PrepareError, match="damaged"):
        prepare.download_and_prepare("omniglot", tmp_path / "out", zips)


@pytest.mark.parametrize("damage", ["cut", "short", "magic", "label"])
def test_wrong_idx_files_are_refused(registered, digits, tmp_path, damage):
    path = digits / "train-labels-idx1-ubyte.gz"
    values = bytearray(gzip.decompress(path.read_bytes()))
    if damage == "magic":
        values[2] = 9
    if damage == "label":
        values[-1] = 10
    packed = gzip.compress(values[: -1 if damage == "short" else None])
    path.write_bytes(packed[: -4 if damage == "cut" else None])
    with pytest.raises(prepare.PrepareError, match="train-labels-idx1"):
        prepare.download_and_prepare("mnist", tmp_path / "out", digits)


def test_files_of_the_other_data_set_are_refused(registered, digits, tmp_path):
    registered["fashion_mnist"], registered["mnist"] = registered["mnist"], registered["mnist"]
    with pytest.raises(prepare.PrepareError, match="belongs to fashion_mnist, not to mnist"):
        prepare.download_and_prepare("mnist", tmp_path / "out", digits)


def test_missing_archive_and_half_made_folder_are_refused(zips, small_tfds, tmp_path, one_sentence):
    (small_tfds / "omniglot/3.0.0/dataset_info.json").unlink()
    assert prepare.main(["omniglot", "--data-dir", str(small_tfds), "--from", str(zips)]) == 2
    assert "incomplete: delete it" in one_sentence()
    (zips / "images_evaluation.zip").unlink()
    argv = ["omniglot", "--data-dir", str(tmp_path / "out"), "--from", str(zips)]
    assert prepare.main(argv) == 2
    assert "has no images_evaluation.zip" in one_sentence()
    (tmp_path / "file").write_text("")
    assert prepare.main(["omniglot", "--data-dir", str(tmp_path / "file" / "x")]) == 2
    assert "cannot write to" in one_sentence()


KILLED = """
import os, sys, tqdm
from jaxdl.data import prepare

def update(self, n=1, left=[100]):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), 9)

tqdm.tqdm.update = update  # called for every image that is written
prepare.OMNIGLOT = {"train": ("images_background", 4), "test": ("images_evaluation", 2)}
prepare.download_and_prepare("omniglot", *sys.argv[1:])
"""


def test_killed_preparation_leaves_nothing_that_counts(zips, tmp_path):
    out = tmp_path / "out"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(out), str(zips)]
    assert subprocess.run(command, env=environment, check=False).returncode == -9
    assert list(out.glob("omniglot/*incomplete*/*train*"))  # it had begun to write
    assert not sources.available("omniglot", out)
    prepare.download_and_prepare("omniglot", out, zips)
    assert sources.load("omniglot", data_dir=out).keys() == {"train", "test"}


def test_command_line_needs_no_heavy_imports():
    code = (
        "import sys; from jaxdl.data import prepare; "
        "sys.exit(sorted({'jax', 'tensorflow_datasets', 'PIL'} & set(sys.modules)) or 0)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.slow
def test_real_omniglot_archives_give_the_prepared_data_set(raw_data_dir, real_omniglot, tmp_path):
    prepare.download_and_prepare("omniglot", tmp_path / "out", raw_data_dir / "omniglot_zips")
    assert_same(real_omniglot, sources.load("omniglot", data_dir=tmp_path / "out"))
