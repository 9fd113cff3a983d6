"""What a run leaves in its folder, each file whole at every moment.

config.json     the options of the run; another run is refused
metrics.jsonl   one JSON object a line: {"step", "split", the metrics, "rate", "seconds"}
result*.json    the final numbers, see `jaxdl.train.result`
*.png           curves and pictures
tensorboard/    the metrics once more, when tensorboardX is installed

Of several processes the first alone writes; the others only read. In a bucket, see
`jaxdl.train.storage`, there is no TensorBoard, and metrics.jsonl is as old as the last evaluation.
"""

import contextlib
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np

from jaxdl.train import processes
from jaxdl.train.storage import Lines, errors_of, folder, in_bucket, replacing


class WorkdirError(ValueError):
    """A folder that cannot be written, is in use, or belongs to another run."""


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Names the fields in which two JSON objects differ, as "way is 5 there and 20 here"."""
    there, here = dict(_fields(there)), dict(_fields(here))
    return [
        f"{name} is {there.get(name, 'absent')} there and {here.get(name, 'absent')} here"
        for name in {**there, **here}
        if there.get(name) != here.get(name)
    ]


def completed(there: Any, here: Any) -> Any:
    """Returns a JSON object with what it lacks taken from another, at every depth."""
    if not isinstance(there, Mapping) or not isinstance(here, Mapping):
        return there
    return {**here, **{key: completed(value, here.get(key)) for key, value in there.items()}}


def _fields(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yields the dotted name and the JSON text of every field that holds no further object."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _fields(inner, f"{name}.{key}" if name else key)
    else:
        yield name, json.dumps(value)


class Report:
    """The folder of one run. Nothing is made on the disk before something is written."""

    def __init__(self, workdir: str | os.PathLike):
        self.workdir = folder(workdir)
        self._metrics: Lines | None = None
        self._board: Any = None

    def config(self) -> dict[str, Any] | None:
        """Returns the options of the run in this folder, None when there is none.

        Raises:
          WorkdirError: config.json cannot be read.
        """
        path = self.workdir / "config.json"
        with errors_of(path, lambda reason: WorkdirError(f"cannot read {path}: {reason}")):
            try:
                config = json.loads(path.read_text())
                if not isinstance(config, dict):
                    raise ValueError("expected a JSON object")
                return config
            except (FileNotFoundError, NotADirectoryError):
                return None
            except ValueError as error:
                raise WorkdirError(f"cannot read {path}: {error}") from error

    def check_config(
        self, config: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """Claims an unused folder for a run with these options, or sees that it has the same ones.

        Args:
          config: JSON object.
          defaults: what options are that the folder's run, made before there were such, lacks.

        Raises:
          WorkdirError: the folder belongs to a run with other options, or cannot be written.
        """
        there = self.config()
        if there is None:
            self.write_json("config.json", config)
        elif differing := differences({**defaults, **there}, config):
            raise WorkdirError(
                f"{self.workdir} holds a run with other options: {', '.join(differing)}; "
                "choose another --workdir"
            )

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keeps other programs from training in this folder; closes the metrics at the end.

        The lock dies with the program that holds it. Buckets have none.

        Raises:
          WorkdirError: another program is training here.
        """
        if not processes.is_main():
            yield
            return
        with contextlib.nullcontext() if in_bucket(self.workdir) else self._lock():
            try:
                yield
            finally:
                opened = [each for each in (self._metrics, self._board) if each is not None]
                self._metrics = self._board = None
                with self._errors("metrics.jsonl"):
                    for each in opened:
                        each.close()

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        with self._errors(".lock"):
            self.workdir.mkdir(parents=True, exist_ok=True)
            lock = (self.workdir / ".lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise WorkdirError(f"another program is training in {self.workdir}") from error
            except OSError:
                pass  # a file system without locks: train all the same
            yield

    def log(self, row: Mapping[str, Any]) -> None:
        """Appends one row to metrics.jsonl, and to TensorBoard's events when it is installed.

        Args:
          row: "step" int, "split" str, and finite numbers by name.
        """
        if not processes.is_main():
            return
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        with self._errors("metrics.jsonl"):
            if self._metrics is None:
                self._metrics = Lines(self.workdir / "metrics.jsonl")
                if not in_bucket(self.workdir):
                    self._board = _tensorboard(self.workdir / "tensorboard", row["step"])
            self._metrics.append(line)
        if self._board is not None:
            for name in row.keys() - {"step", "split"}:
                self._board.add_scalar(f"{row['split']}/{name}", row[name], row["step"])

    def flush(self) -> None:
        """Returns when metrics.jsonl has all rows; on a disk it always has."""
        if self._metrics is not None:
            with self._errors("metrics.jsonl"):
                self._metrics.flush()

    def rows(self) -> list[dict[str, Any]]:
        """Reads metrics.jsonl; a line that a killed program left unfinished is passed over."""
        path = self.workdir / "metrics.jsonl"
        rows = []
        for line in path.read_text().splitlines() if path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                rows.append(json.loads(line))
        return rows

    def seconds(self) -> float:
        """Returns how long the run in this folder has trained, over all its resumptions."""
        return max((row["seconds"] for row in self.rows()), default=0.0)

    def truncate_after(self, step: int) -> list[dict[str, Any]]:
        """Drops the rows after `step`, which a resumed run will write again.

        Returns:
          The rows that are left.
        """
        rows = [row for row in self.rows() if row["step"] <= step]
        with self._replacing("metrics.jsonl") as file:
            file.writelines((json.dumps(row) + "\n").encode() for row in rows)
        return rows

    def write_json(self, name: str, value: Any) -> None:
        """Writes a JSON file whole or not at all; NaN and infinity are refused."""
        text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Writes a text file whole or not at all."""
        with self._replacing(name) as file:
            file.write(text.encode())

    def save_figure(self, figure: Any, name: str) -> None:
        """Writes a matplotlib figure as a PNG file, whole or not at all."""
        with self._replacing(name) as file:
            figure.savefig(file, format="png", dpi=120)

    def save_image(self, pixels: np.ndarray, name: str) -> None:
        """Writes grey pixels, uint8 [H, W], as a PNG file, whole or not at all."""
        from PIL import Image

        with self._replacing(name) as file:
            Image.fromarray(pixels).save(file, format="png")

    def save_array(self, values: np.ndarray, name: str) -> None:
        """Writes an array as an .npy file, whole or not at all."""
        with self._replacing(name) as file:
            np.save(file, values, allow_pickle=False)

    def write_curves(
        self,
        name: str = "curves.png",
        *,
        metrics: Sequence[str] = ("loss", "accuracy"),
        chance: float | None = None,
    ) -> None:
        """Draws metrics.jsonl: one panel per metric, training as a line, validation as points.

        Args:
          name: of the file.
          metrics: which of the logged metrics to draw.
          chance: accuracy of a guess, in [0, 1]; drawn as a dashed line.
        """
        from jaxdl.train.curves import draw  # Matplotlib is heavy, and needed once a run

        self.save_figure(draw(self.rows(), metrics, chance), name)

    @contextlib.contextmanager
    def _replacing(self, name: str) -> Iterator[IO[bytes]]:
        """Opens a file that takes the place of `name` once it is whole."""
        if not processes.is_main():
            yield io.BytesIO()
            return
        with self._errors(name), replacing(self.workdir / name) as file:
            yield file

    def _errors(self, name: str) -> contextlib.AbstractContextManager[None]:
        path = self.workdir / name
        return errors_of(path, lambda reason: WorkdirError(f"cannot write {path}: {reason}"))


def _tensorboard(folder: Path, step: int) -> Any:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step)  # hides what a killed run logged later
