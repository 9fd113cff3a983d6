"""Image data sets as plain NumPy arrays, read from TFDS directories without TensorFlow.

Decoded arrays are cached, so only the first load of a data set decodes anything.
"""

import collections
import hashlib
import io
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jaxdl.cache import cache_dir

Arrays = dict[str, dict[str, np.ndarray]]  # split -> field -> array

NAMES = ("omniglot", "mnist", "fashion_mnist")
RESIZES = ("lanczos_grey", "nearest_binary")
DRAWERS = 20  # people who drew each Omniglot character

# Sorted; the field `alphabet` of Omniglot indexes this tuple.
OMNIGLOT_ALPHABETS = tuple(
    """
    Alphabet_of_the_Magi Angelic Anglo-Saxon_Futhorc Arcadian Armenian Asomtavruli_(Georgian)
    Atemayar_Qelisayer Atlantean Aurek-Besh Avesta Balinese Bengali
    Blackfoot_(Canadian_Aboriginal_Syllabics) Braille Burmese_(Myanmar) Cyrillic Early_Aramaic
    Futurama Ge_ez Glagolitic Grantha Greek Gujarati Gurmukhi Hebrew
    Inuktitut_(Canadian_Aboriginal_Syllabics) Japanese_(hiragana) Japanese_(katakana) Kannada Keble
    Korean Latin Malay_(Jawi_-_Arabic) Malayalam Manipuri Mkhedruli_(Georgian) Mongolian N_Ko
    Ojibwe_(Canadian_Aboriginal_Syllabics) Old_Church_Slavonic_(Cyrillic) Oriya Sanskrit Sylheti
    Syriac_(Estrangelo) Syriac_(Serto) Tagalog Tengwar Tibetan Tifinagh ULOG
    """.split()  # noqa: SIM905 (a list literal would be fifty lines)
)

_CACHE_FORMAT = 1  # raise it when the same files would decode to other arrays
_LOG = logging.getLogger(__name__)


class DataSetNotFound(ValueError):
    """The data set is not prepared where it was looked for."""


class CorruptData(ValueError):
    """A file of a data set, or of its cache, is damaged."""


def data_root(data_dir: str | Path | None = None) -> Path:
    """Returns the folder of TFDS directories: data_dir, TFDS_DATA_DIR, or TFDS's own default."""
    root = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(root).expanduser()


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """Returns the folder of the newest prepared version of a data set, None when there is none."""
    folder = data_root(data_dir) / name
    if not folder.is_dir():
        return None
    versions = [
        version
        for version in folder.iterdir()
        # TFDS writes into a folder of another name and renames it last, so this one is complete.
        if re.fullmatch(r"\d+\.\d+\.\d+", version.name)
        and (version / "dataset_info.json").is_file()
        and (version / "features.json").is_file()
    ]
    return max(versions, key=lambda v: [int(n) for n in v.name.split(".")], default=None)


def available(name: str, data_dir: str | Path | None = None) -> bool:
    """Says whether a data set is prepared on this machine; never touches the network."""
    return find(name, data_dir) is not None


def load(name: str, *, data_dir: str | Path | None = None, resize: str = RESIZES[0]) -> Arrays:
    """Loads a data set that was prepared on this machine.

    Args:
      name: "omniglot", "mnist" or "fashion_mnist".
      data_dir: the folder of TFDS directories; None means TFDS_DATA_DIR, or TFDS's own default.
      resize: how Omniglot's 105x105 binary drawings become 28x28: "lanczos_grey" anti-aliases
        them; "nearest_binary" is what published code gets, because Pillow ignores the filter it
        is asked for on 1-bit images. Other data sets are not resized.

    Returns:
      The splits "train" and "test". Omniglot ("train" holds the 964 background characters,
      "test" the 659 evaluation characters, each sorted by alphabet and character):
        image: uint8 [C, 20, 28, 28], ink is 255 on 0, sorted by drawer.
        alphabet: int32 [C], index into OMNIGLOT_ALPHABETS.
        character: int32 [C], from 1, within the alphabet.
        drawer: int32 [C, 20], the original drawer, 1 to 20; -1 where the directory was not
          written by TFDS's builder, so that it is unknown (images then are sorted by content).
      MNIST and Fashion-MNIST, in TFDS's order:
        image: uint8 [B, 28, 28, 1].
        label: int32 [B], 0 to 9.

    Raises:
      DataSetNotFound: the data set is not prepared.
      CorruptData: a data file or the cache file is damaged.
    """
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}: choose from {', '.join(NAMES)}")
    if resize not in RESIZES:
        raise ValueError(f"unknown resize {resize!r}: choose from {', '.join(RESIZES)}")
    folder = find(name, data_dir)
    if folder is None:
        option = f" --data-dir {data_dir}" if data_dir else ""
        raise DataSetNotFound(
            f"{name} is not prepared in {data_root(data_dir)}: run "
            f"`python -m jaxdl.data.prepare {name}{option}`, or set TFDS_DATA_DIR to a folder "
            "that has it"
        )
    form = [resize] if name == "omniglot" else []
    cache = cache_dir() / ("-".join([name, folder.name, *form, _fingerprint(folder)]) + ".npz")
    arrays = _read_cache(cache)
    if arrays is None:
        arrays = _read_tfds(name, folder, resize)
        _write_cache(cache, arrays)
    return arrays


def _fingerprint(folder: Path) -> str:
    files = sorted((file.name, file.stat().st_size) for file in folder.iterdir())
    info = (folder / "dataset_info.json").read_bytes()
    return hashlib.sha256(repr((_CACHE_FORMAT, files, info)).encode()).hexdigest()[:16]


def _read_cache(path: Path) -> Arrays | None:
    """Returns the cached arrays, None where there are none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _LOG.warning("%s cannot be read (%s): decoding the data set again", path, error.strerror)
        return None
    body, digest = memoryview(content)[:-32], content[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise CorruptData(f"the cache file {path} is damaged: delete it, it will be made again")
    arrays: Arrays = {}
    with np.load(io.BytesIO(body), allow_pickle=False) as stored:
        for key in stored.files:
            split, field = key.split("/")
            arrays.setdefault(split, {})[field] = stored[key]
    return arrays


def _write_cache(path: Path, arrays: Arrays) -> None:
    """Writes an .npz with its SHA-256 behind it, at once or not at all."""
    buffer = io.BytesIO()
    flat = {f"{s}/{f}": array for s, fields in arrays.items() for f, array in fields.items()}
    np.savez(buffer, allow_pickle=False, **flat)
    buffer.write(hashlib.sha256(buffer.getbuffer()).digest())
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(buffer.getbuffer())
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        _LOG.warning(
            "the decoded data set cannot be cached in %s (%s): the next start decodes it again",
            path.parent,
            error.strerror,
        )


def _read_tfds(name: str, folder: Path, resize: str) -> Arrays:
    """Decodes the train and test splits of a TFDS directory."""
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder_from_directory(folder)
        arrays = {}
        for split in ("train", "test"):
            records = _records(builder, split)
            if len(records) != builder.info.splits[split].num_examples:
                raise CorruptData(f"split {split} has {len(records)} records")
            arrays[split] = (
                _omniglot(records, split, resize) if name == "omniglot" else _digits(records)
            )
        return arrays
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # array_record, protobuf and Pillow raise too many kinds to list
        reason = str(error).partition("\n")[0]
        raise CorruptData(
            f"{folder} cannot be read ({reason}): if it is damaged, delete that folder and run "
            f"`python -m jaxdl.data.prepare {name}`"
        ) from error


def _records(builder, split: str) -> list[dict]:
    """Returns the records of a split as stored, in order, the images still encoded."""
    import tensorflow_datasets as tfds

    info = builder.info
    decoders = {"image": tfds.decode.SkipDecoding()}
    if info.file_format.value != "tfrecord":
        source = builder.as_data_source(split, decoders=decoders)
        return source.__getitems__(range(len(source)))
    return [
        info.features.deserialize_example_np(example, decoders=decoders)
        for path in info.splits[split].filepaths
        for example in _tfrecords(Path(path))
    ]


def _tfrecords(path: Path) -> Iterator[bytes]:
    """Yields a tfrecord file's examples: each is length (8 bytes), CRC (4), data, CRC (4)."""
    content = path.read_bytes()
    position = 0
    while position < len(content):
        head = content[position : position + 12]
        size = int.from_bytes(head[:8], "little")
        position += 12
        example = content[position : position + size]
        position += size + 4
        if len(head) < 12 or position > len(content):
            raise CorruptData(f"{path.name} is cut off at byte {len(content)}")
        yield example


def decode_grey(encoded: bytes, side: int) -> np.ndarray:
    """Decodes an image to uint8 [side, side]."""
    from PIL import Image

    with Image.open(io.BytesIO(encoded)) as image:
        grey = np.asarray(image.convert("L"))
    if grey.shape != (side, side):
        raise CorruptData(f"expected images of {side}x{side} pixels, got {grey.shape}")
    return grey


def _digits(records: list[dict]) -> dict[str, np.ndarray]:
    return {
        "image": np.stack([decode_grey(record["image"], 28) for record in records])[..., None],
        "label": np.array([record["label"] for record in records], np.int32),
    }


def _omniglot(records: list[dict], split: str, resize: str) -> dict[str, np.ndarray]:
    classes = [(int(r["alphabet"]), int(r["alphabet_char_id"]) + 1) for r in records]
    drawer = _drawers(split, classes, [int(r["label"]) for r in records])
    if set(collections.Counter(classes).values()) != {DRAWERS}:
        raise CorruptData(f"split {split} does not have {DRAWERS} drawings of every character")
    order = sorted(
        range(len(records)), key=lambda i: (classes[i], drawer[i], bytes(records[i]["image"]))
    )
    alphabet, character = np.array([classes[i] for i in order[::DRAWERS]], np.int32).T
    image = np.stack([shrink(decode_grey(records[i]["image"], 105), resize) for i in order])
    return {
        "image": image.reshape(-1, DRAWERS, 28, 28),
        "alphabet": alphabet.copy(),
        "character": character.copy(),
        "drawer": np.array([drawer[i] for i in order], np.int32).reshape(-1, DRAWERS),
    }


def shrink(drawing: np.ndarray, resize: str) -> np.ndarray:
    """Shrinks a drawing with ink 0 on non-zero paper to 28x28 with ink 255 on 0."""
    from PIL import Image

    # Paper is 255 in the original files, but 1 in copies that went through TFDS's own decoder.
    paper = Image.fromarray(np.where(drawing > 0, np.uint8(255), np.uint8(0)))
    filters = {
        "lanczos_grey": Image.Resampling.LANCZOS,
        "nearest_binary": Image.Resampling.NEAREST,
    }
    return 255 - np.asarray(paper.resize((28, 28), filters[resize]))


def _drawers(split: str, classes: list[tuple[int, int]], labels: list[int]) -> list[int]:
    """Recovers who drew each record, which TFDS does not store.

    TFDS sorts the records of a split by the MD5 of split name and record key, and Omniglot's
    keys end in the original file name, so the order of the keys of all drawings is the order of
    the records. Labels that agree all along prove it.
    """
    keys = []
    for (alphabet, character), label in set(zip(classes, labels, strict=True)):
        for drawer in range(1, DRAWERS + 1):
            key = split + omniglot_key(alphabet, character, label, drawer)
            keys.append((hashlib.md5(key.encode()).digest(), label, drawer))
    keys.sort()
    if [label for _, label, _ in keys] == labels:
        return [drawer for _, _, drawer in keys]
    _LOG.warning("Omniglot's %s split is in an unknown order: its drawers are unknown", split)
    return [-1] * len(labels)


def omniglot_key(alphabet: int, character: int, label: int, drawer: int) -> str:
    """Returns the key under which TFDS stores a drawing.

    Args:
      alphabet: index into OMNIGLOT_ALPHABETS.
      character: from 1, within the alphabet.
      label: TFDS's label, from 0; the number in the original file name less one.
      drawer: 1 to 20.
    """
    name = OMNIGLOT_ALPHABETS[alphabet]
    return f"{name}_{character - 1}_{label + 1:04d}_{drawer:02d}.png"
