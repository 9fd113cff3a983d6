import io
import json
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from jaxdl.data import sources


def expected_image(png, resize):
    """What published code computes from the 1-bit file: Pillow makes its Lanczos NEAREST."""
    image = Image.open(io.BytesIO(png))
    if resize == "lanczos_grey":
        image = image.convert("L")
    small = np.asarray(image.resize((28, 28), Image.Resampling.LANCZOS))
    return 255 - (small * np.uint8(255) if small.dtype == bool else small)


@pytest.mark.parametrize("resize", sources.RESIZES)
def test_omniglot_is_the_drawings_in_canonical_order(small_tfds, drawings, resize):
    arrays = sources.load("omniglot", data_dir=small_tfds, resize=resize)
    for split, archive in (("train", "images_background"), ("test", "images_evaluation")):
        paths = sorted(drawings[archive])  # alphabet, character, drawer
        part = arrays[split]
        assert part["image"].shape == (len(paths) // 20, 20, 28, 28)
        want = np.stack([expected_image(drawings[archive][path], resize) for path in paths])
        np.testing.assert_array_equal(part["image"].reshape(want.shape), want)
        names = [sources.OMNIGLOT_ALPHABETS[a] for a in part["alphabet"]]
        found = [f"{n}/character{c:02d}" for n, c in zip(names, part["character"], strict=True)]
        assert found == [path.rpartition("/")[0] for path in paths[::20]]
        np.testing.assert_array_equal(part["drawer"], np.tile(np.arange(1, 21), (len(found), 1)))
        assert part["image"].dtype == np.uint8
        assert {part[f].dtype for f in ("alphabet", "character", "drawer")} == {np.dtype(np.int32)}


def test_drawings_of_unknown_order_are_sorted_by_content(small_tfds, monkeypatch, caplog):
    known = sources.load("omniglot", data_dir=small_tfds)["train"]
    monkeypatch.setattr(sources, "omniglot_key", lambda *key: repr(key))
    monkeypatch.setenv("JAXDL_CACHE_DIR", str(small_tfds / "other"))
    unknown = sources.load("omniglot", data_dir=small_tfds)["train"]
    assert (unknown["drawer"] == -1).all()
    assert "drawers are unknown" in caplog.text
    np.testing.assert_array_equal(unknown["character"], known["character"])
    for a, b in zip(unknown["image"], known["image"], strict=True):
        assert sorted(image.tobytes() for image in a) == sorted(image.tobytes() for image in b)


def test_second_load_reads_only_the_cache(small_tfds, monkeypatch):
    first = sources.load("omniglot", data_dir=small_tfds)
    monkeypatch.setattr(sources, "_read_tfds", None)
    second = sources.load("omniglot", data_dir=small_tfds)
    assert first.keys() == second.keys()
    for split, fields in first.items():
        assert fields.keys() == second[split].keys()
        for field, array in fields.items():
            np.testing.assert_array_equal(array, second[split][field], strict=True)


def test_cache_depends_on_resize_and_on_the_source_files(small_tfds):
    sources.load("omniglot", data_dir=small_tfds)
    sources.load("omniglot", data_dir=small_tfds, resize="nearest_binary")
    (small_tfds / "omniglot/3.0.0/added").write_text("x")
    sources.load("omniglot", data_dir=small_tfds)
    assert len(list(sources.cache_dir().iterdir())) == 3


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damaged_cache_is_named_and_kept(small_tfds, damage):
    sources.load("omniglot", data_dir=small_tfds)
    (cache,) = sources.cache_dir().iterdir()
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 1
    cuts = {"flip": len(content), "cut": len(content) // 3, "empty": 0}
    cache.write_bytes(content[: cuts[damage]])
    with pytest.raises(sources.CorruptData, match="delete it") as caught:
        sources.load("omniglot", data_dir=small_tfds)
    assert str(cache) in str(caught.value)
    assert cache.stat().st_size == cuts[damage]
    cache.unlink()
    assert sources.load("omniglot", data_dir=small_tfds).keys() == {"train", "test"}


def test_cache_that_cannot_be_written_is_done_without(small_tfds, monkeypatch, caplog, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JAXDL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert sources.load("omniglot", data_dir=small_tfds).keys() == {"train", "test"}
    assert "cannot be cached" in caplog.text


def test_failed_cache_write_leaves_no_file(small_tfds, monkeypatch, caplog):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sources.os, "replace", full)
    sources.load("omniglot", data_dir=small_tfds)
    assert "No space left" in caplog.text
    assert not list(sources.cache_dir().iterdir())


def test_missing_data_set_says_where_and_how(tmp_path, monkeypatch):
    (tmp_path / "mnist" / "3.0.1.incomplete1A2B").mkdir(parents=True)
    (tmp_path / "mnist" / "3.0.1").mkdir()  # no dataset_info.json: a preparation that died
    assert not sources.available("mnist", tmp_path)
    with pytest.raises(sources.DataSetNotFound, match=r"jaxdl\.data\.prepare mnist --data-dir"):
        sources.load("mnist", data_dir=tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(sources.DataSetNotFound, match="nowhere") as caught:
        sources.load("mnist")
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("options", [{"name": "omniglott"}, {"name": "mnist", "resize": "cubic"}])
def test_unknown_names_are_refused(options):
    with pytest.raises(ValueError, match="choose from"):
        sources.load(**options)


def test_newest_version_is_found(small_tfds):
    (small_tfds / "omniglot/3.0.0").rename(small_tfds / "omniglot/3.0.10")
    old = small_tfds / "omniglot/3.0.9"
    old.mkdir()
    for name in ("dataset_info.json", "features.json"):
        (old / name).write_text("{}")
    assert sources.find("omniglot", small_tfds).name == "3.0.10"


@pytest.mark.parametrize("file", ["dataset_info.json", "features.json", "train", "test"])
@pytest.mark.parametrize("damage", ["flip", "cut", "delete"])
def test_damaged_data_set_is_refused(small_tfds, file, damage):
    folder = small_tfds / "omniglot/3.0.0"
    (path,) = folder.glob(f"*{file}*")
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "flip":
        for i in range(10, len(content), 50):
            content[i] ^= 0x55
    if damage != "delete":
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else None])
    gone = damage == "delete" and file.endswith("json")
    with pytest.raises(sources.DataSetNotFound if gone else sources.CorruptData) as caught:
        sources.load("omniglot", data_dir=small_tfds)
    assert "jaxdl.data.prepare omniglot" in str(caught.value)


def as_tfrecord(folder):
    """Rewrites a prepared directory the way TFDS stores data where TensorFlow is installed."""
    from array_record.python import array_record_data_source

    info = json.loads((folder / "dataset_info.json").read_text())
    info["fileFormat"] = "tfrecord"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    for path in folder.glob("*.array_record-*"):
        with array_record_data_source.ArrayRecordDataSource([str(path)]) as source:
            records = source.__getitems__(range(len(source)))
        crc = bytes(4)
        content = [len(r).to_bytes(8, "little") + crc + r + crc for r in records]
        path.with_name(path.name.replace("array_record", "tfrecord")).write_bytes(b"".join(content))
        path.unlink()


def test_tfrecord_directory_gives_the_same_arrays(small_tfds):
    want = sources.load("omniglot", data_dir=small_tfds)
    as_tfrecord(small_tfds / "omniglot/3.0.0")
    got = sources.load("omniglot", data_dir=small_tfds)
    for split, fields in want.items():
        for field, array in fields.items():
            np.testing.assert_array_equal(got[split][field], array, strict=True)


@pytest.mark.parametrize("keep", [0.5, 0.0, -1, -5])
def test_cut_off_tfrecord_is_refused(small_tfds, keep):
    as_tfrecord(small_tfds / "omniglot/3.0.0")
    (path,) = small_tfds.glob("omniglot/*/*train.tfrecord*")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep) if keep >= 0 else keep])
    with pytest.raises(sources.CorruptData):
        sources.load("omniglot", data_dir=small_tfds)


@pytest.mark.parametrize(("resize", "ink"), [("lanczos_grey", 0.0840), ("nearest_binary", 0.0805)])
def test_real_omniglot(tfds_dir, real_omniglot, resize, ink):
    arrays = (
        real_omniglot
        if resize == "lanczos_grey"
        else sources.load("omniglot", data_dir=tfds_dir, resize=resize)
    )
    assert arrays["train"]["image"].shape == (964, 20, 28, 28)
    assert arrays["test"]["image"].shape == (659, 20, 28, 28)
    image = np.concatenate([arrays["train"]["image"], arrays["test"]["image"]])
    assert image.mean() / 255 == pytest.approx(ink, abs=5e-5)
    assert (len(np.unique(image)) == 2) == (resize == "nearest_binary")
    characters = set()
    for part in arrays.values():
        assert (part["drawer"] == np.arange(1, 21)).all()
        classes = list(zip(part["alphabet"].tolist(), part["character"].tolist(), strict=True))
        assert classes == sorted(classes)
        characters.update(classes)
    assert len(characters) == 1623


def test_vinyals_split_covers_omniglot(real_omniglot):
    text = resources.files("jaxdl.data").joinpath("vinyals.txt").read_text(encoding="utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    assert [name for name, _ in lines] == list(sources.OMNIGLOT_ALPHABETS)
    alphabets = np.concatenate([part["alphabet"] for part in real_omniglot.values()])
    assert [len(parts) for _, parts in lines] == np.bincount(alphabets).tolist()
    assert [sum(p.count(d) for _, p in lines) for d in "012"] == [1028, 172, 423]
