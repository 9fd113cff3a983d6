"""Lake's one-shot classification trials: 20 runs of 20 classes within one alphabet each.

They are those of Lake, Salakhutdinov and Tenenbaum (2015), as the archive `all_runs.zip` of the
Omniglot repository holds them: `runNN/training/classMM.png`, one drawing of each class,
`runNN/test/itemMM.png`, and `runNN/class_labels.txt`, which says of what class an item is.
"""

import collections
import re
from pathlib import Path

import numpy as np

from jaxdl.data import sources
from jaxdl.data.archive import matching

SIDE = 105  # pixels of a drawing
_RUN = re.compile(r"(?:.*/)?run(\d\d)/(class_labels\.txt|(?:training/class|test/item)\d\d\.png)")


def load(archive: str | Path) -> dict[str, np.ndarray]:
    """Reads the trials.

    Args:
      archive: the file `all_runs.zip`.

    Returns:
      `support`: drawings [runs, N, 105, 105], uint8, ink = 255, one of each class; `query`: the
      same, to be classified; `label`: int32 [runs, N], the class of each query.

    Raises:
      ValueError: the archive is missing, damaged, or not one of such runs.
    """
    runs: dict[int, dict[str, bytes]] = collections.defaultdict(dict)
    try:
        for found, content in matching(Path(archive), _RUN, str(archive)):
            runs[int(found[1])][found[2]] = content
    except FileNotFoundError:
        raise sources.DataSetNotFound(
            f"there is no {archive}: it is python/one-shot-classification/all_runs.zip of the "
            "Omniglot repository"
        ) from None
    if not runs:
        raise sources.CorruptData(f"{archive} has no folders run01, run02, ...")
    trials = [
        _trials(f"{archive}: run{number:02}", files) for number, files in sorted(runs.items())
    ]
    if len({len(label) for *_, label in trials}) > 1:
        raise sources.CorruptData(f"{archive}: its runs have different numbers of classes")
    support, query, label = map(np.stack, zip(*trials, strict=True))
    return {"support": support, "query": query, "label": label}


def shrink(drawings: np.ndarray, resize: str) -> np.ndarray:
    """Returns drawings [..., 105, 105] as those of `sources.load` are: [..., 28, 28]."""
    flat = drawings.reshape(-1, SIDE, SIDE)
    small = np.stack([sources.shrink(255 - drawing, resize) for drawing in flat])
    return small.reshape(*drawings.shape[:-2], *small.shape[1:])


def _trials(name: str, files: dict[str, bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the drawings of one run, by class and by item, and the items' classes."""
    text = files.get("class_labels.txt", b"").decode(errors="replace")
    pairs = re.findall(r"test/item(\d\d)\.png\s+\S*training/class(\d\d)\.png", text)
    classes = sorted(key for key in files if key.startswith("training/"))
    items = sorted(key for key in files if key.startswith("test/"))
    labels = {f"test/item{item}.png": f"training/class{label}.png" for item, label in pairs}
    if not classes or sorted(labels) != items or not set(labels.values()) <= set(classes):
        raise sources.CorruptData(
            f"{name} does not have a class of its own for each drawing to be classified"
        )

    def drawings(names):
        # Ink is 0 and paper is not, in the original files.
        grey = [sources.decode_grey(files[key], SIDE) for key in names]
        return np.where(np.stack(grey) > 0, np.uint8(0), np.uint8(255))

    return (
        drawings(classes),
        drawings(items),
        np.array([classes.index(labels[item]) for item in items], np.int32),
    )
