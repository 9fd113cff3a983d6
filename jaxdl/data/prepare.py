"""Download a data set and write its TFDS directory, without TensorFlow.

The directory is what TFDS's own builder would write, so `tfds.data_source` reads it too.
"""

import collections
import contextlib
import dataclasses
import gzip
import hashlib
import io
import itertools
import math
import os
import re
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from jaxdl.data import archive, fetch, sources

# split -> (archive, its number of characters); TFDS also stores the two small background sets.
OMNIGLOT = {
    "train": ("images_background", 964),
    "test": ("images_evaluation", 659),
    "small1": ("images_background_small1", 136),
    "small2": ("images_background_small2", 156),
}
DIGITS = {"train": ("train", 60000), "test": ("t10k", 10000)}  # split -> (file prefix, images)

Archives = dict[str, Any]  # file name -> bytes, or the Path of the folder that was in it
Examples = dict[str, list[tuple[Any, dict]]]  # split -> (record key, record)
_DRAWING = re.compile(r"(?:.*/)?([^/]+)/character(\d\d)/(\d{4})_(\d\d)\.png")


class PrepareError(ValueError):
    """The data set could not be fetched, checked or written; nothing was left behind."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What to prepare, from where, and where to."""

    name: tyro.conf.Positional[Literal[sources.NAMES]]  # type: ignore[valid-type]
    """The data set."""
    data_dir: Path | None = None
    """The folder of TFDS directories; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A folder with the archives (Omniglot's .zip, MNIST's .gz) or Omniglot's extracted folders:
    nothing is downloaded."""
    mirror: str | None = None
    """A web address under which the archives lie, instead of their own hosts. The same checksums
    apply."""


def download_and_prepare(
    name: str,
    data_dir: str | Path | None = None,
    source: str | Path | None = None,
    mirror: str | None = None,
) -> Path:
    """Writes the TFDS directory of a data set, unless it is there already.

    Args:
      name: "omniglot", "mnist" or "fashion_mnist".
      data_dir: the folder of TFDS directories; None means TFDS_DATA_DIR, or TFDS's own default.
      source: a folder with the original archives, or with Omniglot's extracted folders; None
        downloads the archives and checks their SHA-256. Without a network that takes at most
        fetch.CONNECT_SECONDS to fail.
      mirror: web address of a folder to download from, instead of the archives' own hosts.

    Returns:
      The folder of the prepared version.

    Raises:
      PrepareError: the archives cannot be had, are not the right ones, or cannot be written.
    """
    if name not in sources.NAMES:
        raise PrepareError(f"unknown data set {name!r}: choose from {', '.join(sources.NAMES)}")
    if (found := sources.find(name, data_dir)) is not None:
        return found
    root = sources.data_root(data_dir)
    existing = next(folder for folder in (root, *root.absolute().parents) if folder.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise PrepareError(f"cannot write to {existing}: choose another folder with --data-dir")
    archives = _download(name, mirror) if source is None else _local(name, Path(source))
    examples = _omniglot(archives) if name == "omniglot" else _digits(archives)
    return _write(name, root, examples)


def _registered(name: str) -> dict[str, Any]:
    """Returns TFDS's own record of the archives: address -> size, checksum, filename."""
    import tensorflow_datasets as tfds

    return tfds.builder_cls(name).url_infos


def _download(name: str, mirror: str | None) -> Archives:
    """Returns the archives by file name."""
    archives: Archives = {}
    for url, info in _registered(name).items():
        address = f"{mirror.rstrip('/')}/{info.filename}" if mirror else url
        try:
            archives[info.filename] = fetch.fetch(address, int(info.size), info.checksum)
        except fetch.FetchError as error:
            raise PrepareError(
                f"{error}; with archives that were fetched on another machine, run "
                f"`python -m jaxdl.data.prepare {name} --from FOLDER`"
            ) from error
    return archives


def _local(name: str, folder: Path) -> Archives:
    """Returns the archives, or Omniglot's extracted folders, that lie in a folder."""
    registered = _registered(name).values()
    twin = {"mnist": "fashion_mnist", "fashion_mnist": "mnist"}.get(name)  # same file names
    foreign = {info.checksum for info in _registered(twin).values()} if twin else ()
    found: Archives = {}
    for file in (info.filename for info in registered):
        extracted = folder / file.removesuffix(".zip")
        if (folder / file).is_file():
            found[file] = content = (folder / file).read_bytes()
            if hashlib.sha256(content).hexdigest() in foreign:
                raise PrepareError(f"{folder / file} belongs to {twin}, not to {name}")
        elif name == "omniglot" and extracted.is_dir():
            found[file] = extracted
        elif "small" not in file:  # small1 and small2 repeat a part of the background set
            names = ", ".join(info.filename for info in registered)
            raise PrepareError(f"{folder} has no {file}: {name} needs {names}")
    return found


def _omniglot(archives: Archives) -> Examples:
    """Checks Omniglot's archives and returns their drawings."""
    examples: Examples = {}
    names: dict[int, str] = {}  # the number in the file names belongs to one character
    for split, (stem, expected) in OMNIGLOT.items():
        if (found := archives.get(f"{stem}.zip")) is None:
            continue
        drawers = collections.defaultdict(list)
        examples[split] = []
        for drawing, png in _tree(found) if isinstance(found, Path) else _unzip(stem, found):
            path, (alphabet, *numbers) = drawing.string, drawing.groups()
            character, label, drawer = map(int, numbers)
            name = f"{alphabet}/character{character:02d}"
            if alphabet not in sources.OMNIGLOT_ALPHABETS or not 1 <= label <= 1623:
                raise PrepareError(f"{stem} has {path}, which is not a character of Omniglot")
            if names.setdefault(label, name) != name:
                raise PrepareError(f"{stem} numbers {name} {label:04d}, as it does {names[label]}")
            _check_drawing(f"{stem}: {path}", png)
            drawers[name, label].append(drawer)
            index = sources.OMNIGLOT_ALPHABETS.index(alphabet)
            key = sources.omniglot_key(index, character, label - 1, drawer)
            record = {"image": png, "alphabet": index, "alphabet_char_id": character - 1}
            examples[split].append((key, record | {"label": label - 1}))
        if len(drawers) != expected:
            raise PrepareError(f"{stem} has {len(drawers)} characters, expected {expected}")
        for (name, _), own in drawers.items():
            if sorted(own) != list(range(1, sources.DRAWERS + 1)):
                raise PrepareError(f"{stem} lacks or repeats some of the 20 drawings of {name}")
    return examples


def _unzip(stem: str, content: bytes) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yields the drawings in a zip archive."""
    try:
        yield from archive.matching(io.BytesIO(content), _DRAWING, f"{stem}.zip")
    except archive.ArchiveError as error:
        raise PrepareError(str(error)) from error


def _tree(folder: Path) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yields the drawings in an extracted archive."""
    for file in sorted(folder.rglob("*.png")):
        if found := _DRAWING.fullmatch(file.relative_to(folder).as_posix()):
            if file.stat().st_size > archive.MAX_BYTES:
                raise PrepareError(f"{file} is too large")
            yield found, file.read_bytes()


def _check_drawing(path: str, png: bytes) -> None:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            size = image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise PrepareError(f"{path} is not a sound PNG image") from error
    if size != (105, 105):
        raise PrepareError(f"{path} has {size[0]}x{size[1]} pixels, expected 105x105")


def _digits(archives: Archives) -> Examples:
    """Checks MNIST's archives and returns their images, as PNG."""
    from PIL import Image

    examples: Examples = {}
    for split, (prefix, count) in DIGITS.items():
        images = _idx(archives, f"{prefix}-images-idx3-ubyte.gz", (count, 28, 28))
        labels = _idx(archives, f"{prefix}-labels-idx1-ubyte.gz", (count,))
        if labels.max() > 9:
            raise PrepareError(f"{prefix}-labels-idx1-ubyte.gz has label {labels.max()}, above 9")
        examples[split] = []
        for index, (image, label) in enumerate(zip(images, labels.tolist(), strict=True)):
            png = io.BytesIO()
            Image.fromarray(image).save(png, "png")
            examples[split].append((index, {"image": png.getvalue(), "label": label}))
    return examples


def _idx(archives: Archives, file: str, shape: tuple[int, ...]) -> np.ndarray:
    """Reads a gzipped idx file of uint8 values, of exactly this shape."""
    header = b"".join([b"\0\0\x08", bytes([len(shape)]), *(n.to_bytes(4, "big") for n in shape)])
    size = len(header) + math.prod(shape)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(archives[file])) as stream:
            content = stream.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise PrepareError(f"{file} is damaged ({error})") from error
    if len(content) != size or not content.startswith(header):
        raise PrepareError(f"{file} is not an idx file of uint8 values of shape {shape}")
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape)


def _write(name: str, root: Path, examples: Examples) -> Path:
    """Has TFDS's own builder write the examples, to a temporary folder that it renames last."""
    import tensorflow_datasets as tfds
    import tqdm

    builder = tfds.builder_cls(name)(data_dir=root, file_format="array_record")
    if Path(builder.data_dir).exists():
        raise PrepareError(f"{builder.data_dir} is there but incomplete: delete it and try again")
    if name == "omniglot":
        labels = [f"label_{i}" for i in range(1623)]
        for _, record in itertools.chain(*examples.values()):
            alphabet = sources.OMNIGLOT_ALPHABETS[record["alphabet"]]
            labels[record["label"]] = f"{alphabet}_{record['alphabet_char_id']}"
        builder.info.features["alphabet"].names = sources.OMNIGLOT_ALPHABETS
        builder.info.features["label"].names = labels
    total = sum(map(len, examples.values()))
    print(f"writing {total} images to {builder.data_dir}", file=sys.stderr)
    progress = tqdm.tqdm(total=total, unit=" images", leave=False, disable=None)

    def counted(rows: Iterable) -> Iterator:
        for row in rows:
            progress.update()
            yield row

    # The builder's own generators need TensorFlow to list folders and to encode images.
    builder._split_generators = lambda _: {split: counted(rows) for split, rows in examples.items()}
    tfds.display_progress_bar(False)
    try:
        with (
            progress,
            contextlib.redirect_stdout(io.StringIO()),  # TFDS prints sizes that it cannot know
            tempfile.TemporaryDirectory() as unused,  # it makes a folder for downloads
        ):
            builder.download_and_prepare(download_dir=unused)
    except (OSError, RuntimeError) as error:
        if not sources.available(name, root):  # else another process was faster
            raise PrepareError(f"cannot write {builder.data_dir}: {error}") from error
    finally:
        tfds.display_progress_bar(True)
    return Path(builder.data_dir)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    config = tyro.cli(Config, args=argv, prog="python -m jaxdl.data.prepare", description=__doc__)
    try:
        folder = download_and_prepare(config.name, config.data_dir, config.source, config.mirror)
    except (PrepareError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    print(f"{config.name} is ready in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
