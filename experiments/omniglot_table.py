"""Every few-shot method on Omniglot in one table: runs what is missing, and writes what is there.

    python -m experiments.omniglot_table
    python -m experiments.omniglot_table --methods ProtoNet MAML --hours 2.5
    python -m experiments.omniglot_table --hours 0        # the table of what is there

Each run is an experiment of its own in a folder of the workdir; it goes on where it was stopped.
Cells are accuracies in percent on new characters, random 1,100/100/423 classes unless the row says
otherwise, 1,000 episodes x 15 queries of each class: inductive / transductive, each with its 95 %
interval, and in brackets the published ones.
"""

import dataclasses
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from jaxdl.train import command

COLUMNS = ("5w1s", "5w5s", "20w1s", "20w5s")


@dataclasses.dataclass(frozen=True)
class Run:
    """One training and the cells that it gives."""

    method: str
    """Row of the table."""
    module: str
    """Experiment."""
    options: str
    """Of its command line."""
    columns: tuple[str, ...]
    """Cells: of the test that ends the run first, then of further tests of its checkpoint."""
    gpu: bool = False
    """Whether it takes hours on a CPU, and is left out there."""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.method}-{self.columns[0]}".replace(" ", "_")

    def command(self, column: str, folder: str, *extra: str) -> list[str]:
        """Returns the command that makes a cell; for the further ones, after the first."""
        start = ["python", "-m", f"experiments.{self.module}", "--workdir", folder]
        if column == self.columns[0]:
            return [*start, *shlex.split(self.options), *extra]
        way, shot = column.removesuffix("s").split("w")
        return [*start, "--eval-only", "--way", way, "--shot", shot]

    def result(self, column: str, folder: Path) -> Any:
        """Returns the result of a cell, None when it has not been made."""
        names = [folder / "result.json", *sorted(folder.glob(f"result-*-{column}.json"))]
        path = names[0] if column == self.columns[0] else names[-1] if len(names) > 1 else None
        return json.loads(path.read_text()) if path and path.exists() else None


def _inner_loop(method: str, module: str, options: str = "") -> list[Run]:
    five = "--steps 2400 --eval-every 1200 " + options
    twenty = "--way 20 --meta-batch 16 --steps 20000 --eval-every 1000 " + options
    return [
        Run(method, module, five, ("5w1s",)),
        Run(method, module, five + " --shot 5", ("5w5s",)),
        Run(method, module, twenty, ("20w1s",), gpu=True),
        Run(method, module, twenty + " --shot 5", ("20w5s",), gpu=True),
    ]


def _metric(method: str, module: str, options: str) -> list[Run]:
    return [Run(method, module, options, COLUMNS)]


RUNS = [
    *_inner_loop("MAML", "omniglot_maml"),
    *_inner_loop("FOMAML", "omniglot_maml", "--first-order"),
    *_inner_loop("ANIL", "omniglot_anil"),
    *_inner_loop("BOIL", "omniglot_boil"),
    *_inner_loop("Meta-SGD", "omniglot_meta_sgd"),
    *_inner_loop("Proto-MAML", "omniglot_proto_maml"),
    *_inner_loop("MAML++", "omniglot_maml_plus_plus", "--steps 800 --eval-every 400"),
    *_inner_loop("iMAML", "omniglot_imaml", "--steps 800 --eval-every 400"),
    Run("Reptile", "omniglot_reptile", "", ("5w1s",)),
    Run("Reptile", "omniglot_reptile", "--shot 5", ("5w5s",)),
    *_metric("ProtoNet", "omniglot_protonet", "--steps 3000 --eval-every 500"),
    *_metric("Matching", "omniglot_matching", "--steps 3000 --eval-every 500"),
    *_metric("Relation", "omniglot_relation", "--steps 3000 --eval-every 500"),
    *_metric("R2-D2", "omniglot_r2d2", "--steps 3000 --eval-every 500"),
    *_metric("Siamese", "omniglot_siamese", ""),
    *_metric("Baseline", "omniglot_baseline", ""),
    *_metric("Baseline++", "omniglot_baseline", "--cosine"),
]

# Inductive / transductive, "-" where there is none. Most papers say neither; a method is listed
# under what its own code does.
PUBLISHED = {
    "MAML": ("- / 98.7", "- / 99.9", "- / 95.8", "- / 98.9"),  # Finn et al., 2017
    "FOMAML": ("- / 98.3", "- / 99.2", "- / 89.4", "- / 97.9"),  # Nichol et al., 2018
    "ANIL": ("-", "-", "- / 96.2", "- / 98.0"),  # Raghu et al., 2020
    "Meta-SGD": ("- / 99.53", "- / 99.93", "- / 95.93", "- / 98.97"),  # Li et al., 2017
    "MAML++": ("- / 99.47", "- / 99.93", "- / 97.65", "- / 99.33"),  # Antoniou et al., 2019
    "iMAML": ("- / 99.50", "- / 99.74", "- / 96.18", "- / 99.14"),  # Rajeswaran et al., 2019
    "Reptile": ("95.39 / 97.68", "98.90 / 99.48", "88.14 / 89.43", "96.65 / 97.12"),
    "ProtoNet": (
        "98.8 / -",
        "99.7 / -",
        "96.0 / -",
        "98.9 / -",
    ),  # Snell et al., 2017, Vinyals split
    "Matching": ("98.1 / -", "98.9 / -", "93.8 / -", "98.5 / -"),  # Vinyals et al., 2016
    "Relation": ("99.6 / -", "99.8 / -", "97.6 / -", "99.1 / -"),  # Sung et al., 2018
    "R2-D2": ("98.6 / -", "99.7 / -", "94.7 / -", "98.9 / -"),  # Bertinetto et al., 2019
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One table of all few-shot methods."""

    methods: tuple[str, ...] = ()
    """Rows to run; by default all."""
    columns: tuple[Literal[COLUMNS], ...] = COLUMNS
    """Columns to run."""
    gpu: bool = False
    """Also run what takes hours on a CPU."""
    hours: float = 2.9
    """Begin no run after that time; 0 for none at all."""
    dataset: Literal["omniglot", "glyphs"] = "omniglot"
    """Characters."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path = Path("runs/omniglot_table")
    """Where the runs and the table are."""


def main(config: Config) -> None:
    """Runs the cells that are missing, and writes table.md and table.png after each run."""
    known = list(dict.fromkeys(run.method for run in RUNS))
    if unknown := [method for method in config.methods if method not in known]:
        raise ValueError(f"there is no method {unknown[0]}; choose from {', '.join(known)}")
    begin = time.monotonic()
    write(config)
    for run in RUNS:
        wanted = [column for column in run.columns if column in config.columns]
        if (config.methods and run.method not in config.methods) or (run.gpu and not config.gpu):
            continue
        folder = config.workdir / run.name
        # The first cell's run comes before the tests of its checkpoint.
        for column in dict.fromkeys([run.columns[0], *wanted] if wanted else []):
            if run.result(column, folder) is not None:
                continue
            if time.monotonic() - begin >= 3600 * config.hours:
                break
            extra = ["--dataset", config.dataset]
            argv = run.command(column, str(folder), *extra)
            if config.data_dir is not None:
                argv += ["--data-dir", str(config.data_dir)]
            print(shlex.join(argv), flush=True)
            code = subprocess.run([sys.executable, *argv[1:]], check=False).returncode
            if code in (130, 143):
                raise KeyboardInterrupt("stopped; what was run so far is kept")
            if code:
                raise ValueError(f"{run.method} {column} failed with exit code {code}")
            write(config)
    rows, cells = write(config)
    print(
        f"omniglot_table: {cells} cells of {rows} methods; see {config.workdir}/table.md and .png"
    )


def write(config: Config) -> tuple[int, int]:
    """Writes the table and the plot of what is there; returns the numbers of rows and cells."""
    from jaxdl.train.report import Report

    report = Report(config.workdir)
    measured, lines, commands = {}, [], []
    for method in dict.fromkeys(run.method for run in RUNS):
        runs = [run for run in RUNS if run.method == method]
        cells = []
        for index, column in enumerate(COLUMNS):
            published = PUBLISHED.get(method, ("-",) * len(COLUMNS))[index]
            text = "not run"
            for run in runs:
                folder = config.workdir / run.name
                result = run.result(column, folder) if column in run.columns else None
                if result is None:
                    continue
                accuracy = {
                    mode: result["metrics"][f"accuracy/{mode}"]
                    for mode in ("inductive", "transductive")
                }
                measured[method, column] = accuracy
                text = " / ".join(
                    f"{100 * a['mean']:.2f} ± {100 * a['ci95']:.2f}" for a in accuracy.values()
                )
                if column == run.columns[0]:
                    text += f", {result['seconds'] / 60:.0f} min"
                commands.append(
                    f"{method} {column}: {shlex.join(run.command(column, str(folder)))}"
                )
            cells.append(text + (f" [{published}]" if published != "-" else ""))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    head = f"| method | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}\n"
    text = (
        "Accuracy on new characters in percent, inductive / transductive ± 95 % interval, time of "
        "training, [published].\n\n"
        + head
        + "\n".join(lines)
        + "\n\n"
        + "".join(f"- `{line}`\n" for line in commands)
    )
    report.write_text("table.md", text)
    report.save_figure(draw(measured), "table.png")
    return len({method for method, _ in measured}), len(measured)


def draw(measured: dict[tuple[str, str], Any]) -> Any:
    """Draws the errors of all methods, one panel a column."""
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(run.method for run in RUNS))
    figure = Figure(figsize=(14, 0.3 * len(methods) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(COLUMNS), sharey=True)
    for index, (axes, column) in enumerate(zip(panels, COLUMNS, strict=True)):
        for place, mode, colour in (
            (0, "inductive", "tab:blue"),
            (1, "transductive", "tab:orange"),
        ):
            points = [
                (row, measured[method, column][mode])
                for row, method in enumerate(methods)
                if (method, column) in measured
            ]
            if points:
                axes.errorbar(
                    [100 * value["mean"] for _, value in points],
                    [row + 0.2 * place - 0.1 for row, _ in points],
                    xerr=[100 * value["ci95"] for _, value in points],
                    fmt="o",
                    markersize=4,
                    color=colour,
                    label=mode,
                )
            published = [
                (float(parts[place]), row)
                for row, method in enumerate(methods)
                if len(parts := PUBLISHED.get(method, ("-",) * 4)[index].split(" / ")) == 2
                and parts[place] != "-"
            ]
            if published:
                axes.plot(*zip(*published, strict=True), "|", color=colour, markersize=12)
        axes.set(title=column, xlabel="accuracy, % (bar: published)")
        axes.grid(alpha=0.3)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
