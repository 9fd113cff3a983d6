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
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from experiments import episodic_options
from jaxdl.train import command

COLUMNS = ("5w1s", "5w5s", "20w1s", "20w5s")
LENGTHS = ("minutes", "hour", "day")


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
    length: Literal[LENGTHS] = "minutes"
    """How long it takes on two CPU cores, about."""
    measures: tuple[str, str] = ("inductive", "transductive")
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
        return [*start, "--eval-only", *shlex.split(_shape(column))]

    def result(self, column: str, folder: Path, dataset: str) -> Any:
        """Returns the result of a cell, None when it has not been made."""
        trained, tested = (
            {"dataset": dataset, "way": way, "shot": shot}
            for way, shot in (_way_and_shot(self.columns[0]), _way_and_shot(column))
        )
        suffix = "" if trained == tested else episodic_options.suffix(trained, tested)
        path = folder / f"result{suffix}.json"
        return json.loads(path.read_text()) if path.exists() else None


def _way_and_shot(column: str) -> tuple[int, int]:
    way, shot = column.removesuffix("s").split("w")
    return int(way), int(shot)


def _shape(column: str) -> str:
    way, shot = _way_and_shot(column)
    return f"--way {way} --shot {shot}"


def _inner_loop(
    method: str,
    module: str,
    options: str = "--steps 2400 --eval-every 1200",
    twenty: str = "--steps 6000 --eval-every 2000 --inner-lr 1.2",
):
    for column in COLUMNS:
        minutes = column.startswith("5")
        yield Run(
            method,
            module,
            f"{_shape(column)} {options if minutes else twenty}",
            (column,),
            length="minutes" if minutes else "day",
        )


def _pixels(classifier: str):
    for column in COLUMNS:
        yield Run(
            f"pixels, {classifier}",
            "omniglot_baselines",
            _shape(column),
            (column,),
            measures=(classifier, ""),
            folder=f"pixels-{column}",
        )


RUNS = [
    *_inner_loop("MAML", "omniglot_maml"),
    *_inner_loop(
        "FOMAML",
        "omniglot_maml",
        "--steps 2400 --eval-every 1200 --first-order",
        "--steps 6000 --eval-every 2000 --inner-lr 1.2 --first-order",
    ),
    *_inner_loop("ANIL", "omniglot_anil"),
    *_inner_loop("BOIL", "omniglot_boil"),
    *_inner_loop("Meta-SGD", "omniglot_meta_sgd"),
    *_inner_loop("Proto-MAML", "omniglot_proto_maml"),
    *_inner_loop(
        "MAML++",
        "omniglot_maml_plus_plus",
        "--steps 800 --eval-every 400",
        "--inner-lr 0.3 --multi-step-iterations 2000 --steps 12000 --eval-every 3000",
    ),
    *_inner_loop(
        "iMAML",
        "omniglot_imaml",
        "--steps 800 --eval-every 400",
        "--steps 6000 --eval-every 2000",
    ),
    Run("Reptile", "omniglot_reptile", "", ("5w1s",)),
    Run("Reptile", "omniglot_reptile", "--shot 5", ("5w5s",)),
    Run("ProtoNet", "omniglot_protonet", "", COLUMNS),
    Run("Matching", "omniglot_matching", "", COLUMNS),
    Run("Matching, full context", "omniglot_matching", "--full-context", COLUMNS),
    Run("Relation", "omniglot_relation", "", COLUMNS),
    Run("Relation, longer", "omniglot_relation", "--steps 20000 --eval-every 4000", COLUMNS, "day"),
    Run("R2-D2", "omniglot_r2d2", "", COLUMNS),
    Run("Siamese", "omniglot_siamese", "", COLUMNS),
    Run("Baseline", "omniglot_baseline", "", COLUMNS),
    Run("Baseline++", "omniglot_baseline", "--cosine", COLUMNS),
    *_pixels("nearest neighbour"),
    *_pixels("modified Hausdorff"),
    *_pixels("linear"),
    Run("MAML, longer", "omniglot_maml", "--steps 12000 --eval-every 2000", ("5w1s",), "hour"),
    Run(
        "MAML, longer",
        "omniglot_maml",
        "--shot 5 --steps 9600 --eval-every 2400",
        ("5w5s",),
        "hour",
    ),
    Run(
        "MAML, longer",
        "omniglot_maml",
        # With 0.4, the rate for 5 ways, 400 steps give 84.3 % in validation, with 1.2 86.5 %.
        "--way 20 --inner-lr 1.2 --meta-batch 8 --steps 12000 --eval-every 3000",
        ("20w1s",),
        "hour",
    ),
    Run("MAML, as published", "omniglot_maml", "--preset paper", ("5w1s",), "day"),
    *(
        Run(
            "MAML, longest",
            "omniglot_maml",
            f"{_shape(column)} --meta-batch 32 --steps 16000 --eval-every 4000"
            + (" --inner-lr 1.2" if column.startswith("20") else ""),
            (column,),
            "day",
        )
        for column in ("5w1s", "5w5s", "20w1s")
    ),
    Run(
        "Reptile, longer",
        "omniglot_reptile",
        "--steps 100000 --eval-every 10000",  # as published
        ("5w1s",),
        "hour",
    ),
    Run(
        "ProtoNet, Vinyals split, longer",
        "omniglot_protonet",
        "--network conv4_pooled --split vinyals --rotations classes --eval-rotations classes "
        "--augmentation affine --learning-rate 2e-3 --steps 4500 --eval-every 500",
        COLUMNS,
        "hour",
    ),
    Run(
        "ProtoNet, Vinyals split, longest",
        "omniglot_protonet",
        "--network conv4_pooled --split vinyals --rotations classes --eval-rotations classes "
        "--augmentation affine --learning-rate 2e-3 --train-way 60 --steps 12000 --eval-every 2000",
        COLUMNS,
        "day",
    ),
]

# Inductive / transductive. Most papers say neither; a method is listed under what its own code
# does.
PUBLISHED = {
    "MAML": ("- / 98.7", "- / 99.9", "- / 95.8", "- / 98.9"),  # Finn et al., 2017
    "FOMAML": ("- / 98.3", "- / 99.2", "- / 89.4", "- / 97.9"),  # Nichol et al., 2018
    "ANIL": ("- / -", "- / -", "- / 96.2", "- / 98.0"),  # Raghu et al., 2020
    "Meta-SGD": ("- / 99.53", "- / 99.93", "- / 95.93", "- / 98.97"),  # Li et al., 2017
    "MAML++": ("- / 99.47", "- / 99.93", "- / 97.65", "- / 99.33"),  # Antoniou et al., 2019
    "iMAML": ("- / 99.50", "- / 99.74", "- / 96.18", "- / 99.14"),  # Rajeswaran et al., 2019
    # Nichol et al., 2018
    "Reptile": ("95.39 / 97.68", "98.90 / 99.48", "88.14 / 89.43", "96.65 / 97.12"),
    "Matching": ("98.1 / -", "98.9 / -", "93.8 / -", "98.5 / -"),  # Vinyals et al., 2016
    "Relation": ("99.6 / -", "99.8 / -", "97.6 / -", "99.1 / -"),  # Sung et al., 2018
    "R2-D2": ("98.6 / -", "99.7 / -", "94.7 / -", "98.9 / -"),  # Bertinetto et al., 2019
    # Snell et al., 2017
    "ProtoNet, Vinyals split, longer": ("98.8 / -", "99.7 / -", "96.0 / -", "98.9 / -"),
}
for _name, _other in (
    ("MAML, longer", "MAML"),
    ("MAML, as published", "MAML"),
    ("MAML, longest", "MAML"),
    ("Reptile, longer", "Reptile"),
    ("Relation, longer", "Relation"),
    ("ProtoNet, Vinyals split, longest", "ProtoNet, Vinyals split, longer"),
):
    PUBLISHED[_name] = PUBLISHED[_other]


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
                line = shlex.join(run.command(column, str(folder)))
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
        if result["steps"] and (result["protocol"]["way"], result["protocol"]["shot"]) == (
            _way_and_shot(run.columns[0])
        ):
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
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(fontsize=7)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
