"""What teachers said, kept on disk for as long as it is what they would say again.

Shapes: E variants of an example, N examples, A classes.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.train import processes
from jaxdl.train.report import Report, WorkdirError
from jaxdl.train.storage import in_bucket


def example_keys(key: jax.Array, index: jax.Array, variant: jax.Array) -> jax.Array:
    """Returns the key by which each example is changed: a function of its number and its variant.

    With it, and so with the same changed image, a teacher's output is the one in the cache.

    Args:
      key: a typed PRNG key.
      index: int [B], numbers of the examples.
      variant: int [B], which of their E variants.

    Returns:
      Keys [B].
    """
    return jax.vmap(lambda i, v: jax.random.fold_in(jax.random.fold_in(key, i), v))(index, variant)


def cached(
    folder: str | Path, made_from: Mapping[str, Any], compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """Reads what was computed before, or computes and keeps it.

    Args:
      folder: of `teacher.npy` and `teacher.json`.
      made_from: JSON object, all that it depends on: digests of the teachers' variables and of the
        data set, the changes of the images, the key, the temperature.
      compute: `() -> array` [E, N, A].

    Returns:
      The array, read-only; of a file it stays on the disk until it is read.

    Raises:
      WorkdirError: the folder holds what was made from something else; names what.
    """
    report = Report(folder)
    array, origin = report.workdir / "teacher.npy", report.workdir / "teacher.json"
    wanted = json.loads(json.dumps(dict(made_from)))
    if processes.agree(origin.exists() and array.exists()):
        there = json.loads(origin.read_text())
        if differing := sorted(
            name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
        ):
            raise WorkdirError(
                f"the teacher's outputs in {report.workdir} were made with another "
                f"{', '.join(differing)}; delete that folder or choose another"
            )
        if not in_bucket(array):
            return np.load(array, mmap_mode="r", allow_pickle=False)
        found = np.load(io.BytesIO(array.read_bytes()), allow_pickle=False)
        found.flags.writeable = False
        return found
    found = compute()
    report.save_array(found, "teacher.npy")
    report.write_json("teacher.json", wanted)  # last: it says that the array is whole
    found.flags.writeable = False
    return found
