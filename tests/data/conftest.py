"""Small data sets in the formats of the real ones, so that every path runs on every machine."""

import gzip
import hashlib
import io
import shutil
import types
import zipfile

import numpy as np
import pytest
from PIL import Image

from jaxdl.data import prepare, sources

# (archive, alphabet, character, number in the file names)
CHARACTERS = [
    ("images_background", "Braille", 1, 1),
    ("images_background", "Braille", 2, 2),
    ("images_background", "Angelic", 1, 4),
    ("images_background", "Angelic", 2, 3),
    ("images_evaluation", "Keble", 1, 5),
    ("images_evaluation", "Keble", 2, 6),
]
COUNTS = {"train": ("images_background", 4), "test": ("images_evaluation", 2)}


@pytest.fixture(scope="session")
def drawings():
    """PNG files by archive and path: six characters, each of a few straight 1-bit strokes."""
    rng = np.random.default_rng(0)
    archives = {}
    for archive, alphabet, character, number in CHARACTERS:
        for drawer in range(1, 21):
            paper = np.ones((105, 105), bool)
            for row, column in rng.integers(0, 100, (3, 2)):
                paper[row : row + 3, column // 2 : column] = False
                paper[row // 2 : row, column : column + 3] = False
            png = io.BytesIO()
            Image.fromarray(paper).save(png, "png")
            path = f"{alphabet}/character{character:02d}/{number:04d}_{drawer:02d}.png"
            archives.setdefault(archive, {})[path] = png.getvalue()
    return archives


@pytest.fixture
def small_omniglot(monkeypatch):
    """Makes `prepare` expect as many characters as `drawings` has."""
    monkeypatch.setattr(prepare, "OMNIGLOT", COUNTS)


@pytest.fixture
def zips(drawings, small_omniglot, tmp_path):
    """A folder with the drawings as zip archives."""
    folder = tmp_path / "zips"
    folder.mkdir()
    for archive, files in drawings.items():
        with zipfile.ZipFile(folder / f"{archive}.zip", "w") as out:
            for path, png in files.items():
                out.writestr(f"{archive}/{path}", png)
    return folder


@pytest.fixture(scope="session")
def _prepared(drawings, tmp_path_factory):
    root = tmp_path_factory.mktemp("prepared")
    for archive, files in drawings.items():
        for path, png in files.items():
            file = root / "tree" / archive / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "OMNIGLOT", COUNTS)
        prepare.download_and_prepare("omniglot", root / "tfds", root / "tree")
    return root


@pytest.fixture
def small_tfds(_prepared, tmp_path):
    """A data directory with Omniglot prepared from an extracted tree; yours to damage."""
    return shutil.copytree(_prepared / "tfds", tmp_path / "tfds")


@pytest.fixture
def digits(monkeypatch, tmp_path):
    """A folder with MNIST's four files, of 30 and 10 images."""
    monkeypatch.setattr(prepare, "DIGITS", {"train": ("train", 30), "test": ("t10k", 10)})
    rng = np.random.default_rng(1)
    folder = tmp_path / "idx"
    folder.mkdir()
    for prefix, count in (("train", 30), ("t10k", 10)):
        for kind, shape, top in (
            ("images-idx3", (count, 28, 28), 256),
            ("labels-idx1", (count,), 10),
        ):
            values = rng.integers(0, top, shape, np.uint8)
            header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">i4").tobytes()
            packed = gzip.compress(header + values.tobytes())
            (folder / f"{prefix}-{kind}-ubyte.gz").write_bytes(packed)
    return folder


@pytest.fixture(scope="session")
def real_omniglot(tfds_dir, tmp_path_factory):
    """Omniglot's arrays, decoded once for all tests: do not write to them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAXDL_CACHE_DIR", str(tmp_path_factory.mktemp("omniglot")))
        return sources.load("omniglot", data_dir=tfds_dir)


@pytest.fixture
def registered(digits, monkeypatch):
    """Makes the small MNIST's checksums the registered ones."""
    infos = {}
    for file in sorted(digits.iterdir()):
        content = file.read_bytes()
        infos[f"http://registered.invalid/{file.name}"] = types.SimpleNamespace(
            size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename=file.name
        )
    registered = {"mnist": infos, "fashion_mnist": {}}
    monkeypatch.setattr(prepare, "_registered", registered.__getitem__)
    return registered


@pytest.fixture
def one_sentence(capsys):
    """Returns the error that a command line printed, and checks that it is one line."""

    def read():
        lines = [line for line in capsys.readouterr().err.splitlines() if "error: " in line]
        assert len(lines) == 1
        return lines[0]

    return read
