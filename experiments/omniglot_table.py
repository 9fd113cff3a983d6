"""Every few-shot method on Omniglot in one table: runs what is missing, and writes what is there.

    python -m experiments.omniglot_table
    python -m experiments.omniglot_table --methods ProtoNet MAML --hours 2.5
    python -m experiments.omniglot_table --longest hour   # also the headline runs
    python -m experiments.omniglot_table --hours 0        # the table of what is there

Each run is an experiment of its own in a folder of the workdir; it goes on where it was stopped. By
default all take the same few minutes of two CPU cores, so that a row says what a method learns in
that time; the headline rows take longer. Cells are accuracies in percent on new characters, random
1,100/100/423 classes unless the row says otherwise, 1,000 episodes x 15 queries of each class:
inductive / transductive, each with its 95 % interval, the minutes of training, and in brackets what
is published.
"""

import dataclasses
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from experiments.episodic_runs import COLUMNS, LENGTHS, PUBLISHED, RUNS, Run, way_and_shot
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """One table of all few-shot methods."""

    methods: tuple[str, ...] = ()
    """Rows to run; by default all."""
    columns: tuple[Literal[COLUMNS], ...] = COLUMNS
    """Columns to run."""
    longest: Literal[LENGTHS] = "minutes"
    """The longest runs to run, by the time that one takes on two CPU cores, about."""
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
            write(config)
    rows, cells = write(config)
    print(
        f"omniglot_table: {cells} cells of {rows} methods; see {config.workdir}/table.md and .png"
    )


def write(config: Config) -> tuple[int, int]:
    """Writes the table and the plot of what is there; returns the numbers of rows and cells."""
    from jaxdl.train.report import Report

    report = Report(config.workdir)
    results, commands = {}, {}
    for run in RUNS:
        folder = config.workdir / run.name
        for column in run.columns:
            if result := run.result(column, folder, config.dataset):
                results[run.method, column] = run, result
                line = result["command"] or shlex.join(run.command(column, str(folder)))
                commands.setdefault(line, []).append(f"{run.method} {column}")
    methods = list(dict.fromkeys(run.method for run in RUNS))
    lines = [f"| method | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for method in methods:
        published = PUBLISHED.get(method, ("- / -",) * len(COLUMNS))
        cells = [
            _cell(*results.get((method, column), (None, None)), known)
            for column, known in zip(COLUMNS, published, strict=True)
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    text = (
        "Accuracy on new characters in percent, inductive / transductive, each with its 95 % "
        "interval; minutes of training, from its start to the end of the test; [published].\n\n"
        + "\n".join(lines)
        + "\n\n"
        + "".join(f"- {', '.join(cells)}: `{line}`\n" for line, cells in commands.items())
    )
    report.write_text("table.md", text)
    report.save_figure(draw(results), "table.png")
    return len({method for method, _ in results}), len(results)


def _accuracies(run: Run, result: Any) -> list[Any]:
    return [result["metrics"][f"accuracy/{name}"] if name else None for name in run.measures]


def _cell(run: Run | None, result: Any, published: str) -> str:
    if run is None:
        text = "not run"
    else:
        text = " / ".join(
            f"{100 * value['mean']:.2f} ± {100 * value['ci95']:.2f}" if value else "-"
            for value in _accuracies(run, result)
        )
        shape = result["protocol"]["way"], result["protocol"]["shot"]
        # 0 seconds: nothing was trained, or nobody knows how long it took.
        if result["seconds"] and shape == way_and_shot(run.columns[0]):
            text += f", {result['seconds'] / 60:.0f} min"
    return text + (f" [{published}]" if published != "- / -" else "")


def draw(results: dict[tuple[str, str], tuple[Run, Any]]) -> Any:
    """Draws the accuracies of all methods, one panel a column."""
    from matplotlib.figure import Figure

    methods = list(dict.fromkeys(run.method for run in RUNS))
    figure = Figure(figsize=(14, 0.3 * len(methods) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(COLUMNS), sharey=True)
    colours = {"inductive": "tab:blue", "transductive": "tab:orange"}
    for index, (axes, column) in enumerate(zip(panels, COLUMNS, strict=True)):
        for place, (mode, colour) in enumerate(colours.items()):
            points = [
                (row, value)
                for row, method in enumerate(methods)
                if (found := results.get((method, column)))
                and (value := _accuracies(*found)[place])
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
                (float(text), row)
                for row, method in enumerate(methods)
                if method in PUBLISHED
                and (text := PUBLISHED[method][index].split(" / ")[place]) != "-"
            ]
            if published:
                axes.plot(*zip(*published, strict=True), "|", color=colour, markersize=12)
        axes.set(title=column, xlabel="accuracy, % (bar: published)")
        axes.grid(alpha=0.3)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower left", fontsize=7)  # beside the panels, on none
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
