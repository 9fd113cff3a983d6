"""Few-shot methods side by side: a table and a plot of the accuracies that their runs have.

Shapes: none; a column such as 5w1s is a number of ways and of shots.
"""

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jaxdl.problems.episodes import suffix
from jaxdl.train import result
from jaxdl.train.report import Report

COLUMNS = ("5w1s", "5w5s", "20w1s", "20w5s")
NOTHING = "- / -"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One training and the cells that it gives."""

    method: str
    """Row of the table."""
    module: str
    """Experiment."""
    options: str
    """Of its command line."""
    columns: Sequence[str]
    """Cells: of the test that ends the run first, then of further tests of its checkpoint."""
    length: str = "minutes"
    """How long it takes on two CPU cores, about."""
    measures: Sequence[str] = ("inductive", "transductive")
    """Accuracies of its result that a cell shows; the second may be empty."""
    folder: str = ""
    """Name of its folder, if not that of the method and the first cell."""

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.folder or f"{self.method}-{self.columns[0]}".replace(" ", "_").replace(",", "")

    def command(self, column: str, folder: str, *extra: str) -> list[str]:
        """Returns the command that makes a cell; for the further ones, after the first."""
        start = ["python", "-m", f"experiments.{self.module}", "--workdir", folder]
        if column == self.columns[0]:
            return [*start, *shlex.split(self.options), *extra]
        way, shot = _way_and_shot(column)
        return [*start, "--eval-only", "--way", f"{way}", "--shot", f"{shot}"]

    def result(self, column: str, folder: Path, dataset: str) -> dict[str, Any] | None:
        """Returns the result of a cell, None when it has not been made."""
        trained, tested = (
            {"dataset": dataset, "way": way, "shot": shot}
            for way, shot in (_way_and_shot(self.columns[0]), _way_and_shot(column))
        )
        ending = "" if trained == tested else suffix(trained, tested)
        path = folder / f"result{ending}.json"
        return result.read(path) if path.exists() else None


def write(
    runs: Iterable[Run], published: Mapping[str, Sequence[str]], workdir: Path, dataset: str
) -> tuple[int, int]:
    """Writes table.md and table.png of what is there.

    Args:
      runs: all that the table may have.
      published: by method, for each column "inductive / transductive", "-" for none.
      workdir: in which the runs have their folders.
      dataset: that they were trained and tested on.

    Returns:
      The numbers of rows and cells that are not empty.
    """
    found: dict[tuple[str, str], tuple[Run, dict[str, Any]]] = {}
    commands: dict[str, list[str]] = {}
    for run in (runs := list(runs)):
        for column in run.columns:
            folder = workdir / run.name
            if there := run.result(column, folder, dataset):
                found[run.method, column] = run, there
                line = there["command"] or shlex.join(run.command(column, str(folder)))
                commands.setdefault(line, []).append(f"{run.method} {column}")
    methods = list(dict.fromkeys(run.method for run in runs))
    lines = [f"| method | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    for method in methods:
        known = published.get(method, (NOTHING,) * len(COLUMNS))
        cells = [
            _cell(found.get((method, column)), other)
            for column, other in zip(COLUMNS, known, strict=True)
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    report = Report(workdir)
    report.write_text(
        "table.md",
        "Accuracy on new characters in percent, inductive / transductive, each with its 95 % "
        "interval; minutes of training, from its start to the end of the test; [published].\n\n"
        + "\n".join(lines)
        + "\n\n"
        + "".join(f"- {', '.join(cells)}: `{line}`\n" for line, cells in commands.items()),
    )
    report.save_figure(_draw(methods, found, published), "table.png")
    return len({method for method, _ in found}), len(found)


def _way_and_shot(column: str) -> tuple[int, int]:
    way, shot = column.removesuffix("s").split("w")
    return int(way), int(shot)


def _accuracies(run: Run, found: Mapping[str, Any]) -> list[Any]:
    return [found["metrics"][f"accuracy/{name}"] if name else None for name in run.measures]


def _cell(made: tuple[Run, dict[str, Any]] | None, published: str) -> str:
    if made is None:
        text = "not run"
    else:
        run, found = made
        text = " / ".join(
            result.percent(value) if value else "-" for value in _accuracies(run, found)
        )
        shape = found["protocol"]["way"], found["protocol"]["shot"]
        # 0 seconds: nothing was trained, or nobody knows how long it took.
        if found["seconds"] and shape == _way_and_shot(run.columns[0]):
            text += f", {found['seconds'] / 60:.0f} min"
    return text + (f" [{published}]" if published != NOTHING else "")


def _draw(
    methods: Sequence[str], found: Mapping[Any, Any], published: Mapping[str, Sequence[str]]
) -> Figure:
    """Draws the accuracies of all methods, one panel a column."""
    figure = Figure(figsize=(14, 0.3 * len(methods) + 1.2), layout="constrained")
    panels = figure.subplots(1, len(COLUMNS), sharey=True)
    colours = {"inductive": "tab:blue", "transductive": "tab:orange"}
    for index, (axes, column) in enumerate(zip(panels, COLUMNS, strict=True)):
        for place, (mode, colour) in enumerate(colours.items()):
            points = [
                (row, value)
                for row, method in enumerate(methods)
                if (there := found.get((method, column))) and (value := _accuracies(*there)[place])
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
            known = [
                (float(text), row)
                for row, method in enumerate(methods)
                if method in published
                and (text := published[method][index].split(" / ")[place]) != "-"
            ]
            if known:
                axes.plot(*zip(*known, strict=True), "|", color=colour, markersize=12)
        axes.set(title=column, xlabel="accuracy, % (bar: published)")
        axes.grid(alpha=0.3)
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].invert_yaxis()
    handles, labels = panels[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="lower left", fontsize=7)  # beside the panels, on none
    return figure
