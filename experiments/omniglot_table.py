"""Every few-shot method on Omniglot in one table: runs what is missing, and writes what is there.

    python -m experiments.omniglot_table
    python -m experiments.omniglot_table --methods ProtoNet MAML --hours 2.5
    python -m experiments.omniglot_table --longest hour   # also the headline runs
    python -m experiments.omniglot_table --hours 0        # the table of what is there

Each run of omniglot_table.toml is an experiment of its own in a folder of the workdir; it goes on
where it was stopped. By default all take the same few minutes of two CPU cores, so that a row says
what a method learns in that time; the headline rows take longer. Cells are accuracies in percent on
new characters, random 1,100/100/423 classes unless the row says otherwise, 1,000 episodes x 15
queries of each class: inductive / transductive, each with its 95 % interval, the minutes of
training, and in brackets what is published.
"""

import dataclasses
import shlex
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Literal

from jaxdl.train import command

LENGTHS = ("minutes", "hour", "day")
Column = Literal["5w1s", "5w5s", "20w1s", "20w5s"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One table of all few-shot methods."""

    methods: tuple[str, ...] = ()
    """Rows to run; by default all."""
    columns: tuple[Column, ...] = ("5w1s", "5w5s", "20w1s", "20w5s")
    """Columns to run."""
    longest: Literal[LENGTHS] = "minutes"
    """The longest runs to run, by the time that one takes on two CPU cores, about."""
    hours: float = 2.9
    """Begin no run after that time; 0 for none at all."""
    dataset: Literal["omniglot", "glyphs"] = "omniglot"
    """Characters to learn from: Omniglot, or the embedded glyphs, which need no files."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path = Path("runs/omniglot_table")
    """Where the runs and the table are."""


def main(config: Config) -> None:
    """Runs the cells that are missing, and writes table.md and table.png after each run."""
    from jaxdl.problems import comparison

    listed = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    runs = [comparison.Run(**run) for run in listed["run"]]
    known = list(dict.fromkeys(run.method for run in runs))
    if unknown := [method for method in config.methods if method not in known]:
        raise ValueError(f"there is no method {unknown[0]}; choose from {', '.join(known)}")
    begin = time.monotonic()

    def write():
        return comparison.write(runs, listed["published"], config.workdir, config.dataset)

    rows, cells = write()
    for run in runs:
        wanted = [column for column in run.columns if column in config.columns]
        too_long = LENGTHS.index(run.length) > LENGTHS.index(config.longest)
        if too_long or (config.methods and run.method not in config.methods):
            continue
        folder = config.workdir / run.name
        # The first cell's run comes before the tests of its checkpoint.
        for column in dict.fromkeys([run.columns[0], *wanted] if wanted else []):
            if run.result(column, folder, config.dataset) is not None:
                continue
            if time.monotonic() - begin >= 3600 * config.hours:
                break
            argv = run.command(column, str(folder), "--dataset", config.dataset)
            if config.data_dir is not None:
                argv += ["--data-dir", str(config.data_dir)]
            print(shlex.join(argv), flush=True)
            code = subprocess.run([sys.executable, *argv[1:]], check=False).returncode
            if code in (130, 143):
                raise KeyboardInterrupt("stopped; what was run so far is kept")
            if code:
                raise ValueError(f"{run.method} {column} failed with exit code {code}")
            rows, cells = write()
    print(
        f"omniglot_table: {cells} cells of {rows} methods; see {config.workdir}/table.md and .png"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
