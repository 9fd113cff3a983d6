"""Say what the curves of a run mean, and what to try.

python -m experiments.diagnose runs/mnist_cnn-best-digits-seed0
"""

import dataclasses
import sys
from pathlib import Path

import tyro

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A diagnosis of training and validation loss by the notes' five rules."""

    run: tyro.conf.Positional[Path | None] = None
    """Folder of the run, in which metrics.jsonl is and diagnosis.png will be."""
    part: float = 0.5
    """Share of the run that is looked at, counted from its end."""
    level: float = 0.05
    """Relative change over that part up to which a curve counts as level."""


def main(config: Config) -> None:
    """Draws the curves and prints the diagnosis."""
    import numpy as np
    from matplotlib.figure import Figure

    from jaxdl.ops.diagnosis import diagnose
    from jaxdl.train.report import Report

    if config.run is None:
        raise ValueError("name the folder of a run: python -m experiments.diagnose runs/RUN")
    if not 0 < config.part <= 1 or not config.level > 0:
        raise ValueError("--part must be in (0, 1] and --level positive")
    report = Report(config.run)
    rows = [row for row in report.rows() if "loss" in row]
    curves = {
        split: tuple(
            np.array([row[field] for row in rows if row["split"] == split], float)
            for field in ("step", "loss")
        )
        for split in ("train", "valid")
    }
    if missing := [split for split, (steps, _) in curves.items() if not len(steps)]:
        parts = " and no ".join(missing)
        raise ValueError(f"{report.workdir / 'metrics.jsonl'} has no {parts} losses to look at")
    found = diagnose(curves["train"], curves["valid"], part=config.part, level=config.level)

    def direction(chances):
        best = max(chances, key=chances.get)
        return f"{best} ({100 * chances[best]:.0f} %)"

    figure = Figure(figsize=(6, 3.8), layout="constrained")
    axes = figure.subplots()
    for split, style in (("train", {"linewidth": 0.8}), ("valid", {"marker": "o"})):
        axes.plot(*curves[split], label=split, markersize=3, **style)
    last = max(steps[-1] for steps, _ in curves.values())
    axes.axvspan((1 - config.part) * last, last, color="grey", alpha=0.1)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.set_title(f"{found.name} ({100 * found.confidence:.0f} %)")
    axes.legend()
    report.save_figure(figure, "diagnosis.png")
    print(
        f"diagnose: {found.name} (confidence {100 * found.confidence:.0f} %): training loss "
        f"{direction(found.train)}, validation loss {direction(found.valid)}; try: {found.advice}; "
        f"see {report.workdir / 'diagnosis.png'}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
