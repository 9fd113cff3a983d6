"""Say of your own images how strange they are to a detector that was trained on healthy ones.

    python -m experiments.ganomaly_score --images DIR --checkpoint runs/RUN/anomaly-0/ganomaly

DIR holds the images, or a folder of them for each class. Writes a table of scores, an image, its
reconstruction and a heat map of the difference for each file, and all of them sorted by score. An
image is an anomaly when its score reaches the threshold: 0.5 on the scale from 0 to 1.
"""

import csv
import dataclasses
import io
import sys
from pathlib import Path
from typing import Literal

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Scores of a folder of images."""

    images: Path | None = None
    """Folder of images."""
    checkpoint: Path | None = None
    """Folder of a trained detector, such as runs/RUN/anomaly-0/ganomaly."""
    threshold: Literal["maximum", "quantile 0.99", "mean + 3 deviations"] = "maximum"
    """What of the healthy validation scores makes an anomaly: more than the largest, as the notes
    have it; more than 99 % of them; or more than their mean and three deviations."""
    workdir: Path | None = None
    """Where the results go; by default in runs/."""


def main(config: Config) -> None:
    """Scores the images, and writes the table and the pictures."""
    import numpy as np

    from jaxdl.data import folder
    from jaxdl.ops.anomaly import scale
    from jaxdl.problems.anomaly_pictures import draw_sheet
    from jaxdl.train import run
    from jaxdl.train.report import Report

    for name in ("images", "checkpoint"):
        if getattr(config, name) is None:
            raise ValueError(f"--{name} is needed; see --help")
    if not (Report(config.checkpoint).workdir / "detector.json").exists():
        raise ValueError(f"{config.checkpoint} has no trained detector")
    detector = run.restore(config.checkpoint)
    found, _, files, _ = folder.load(config.images, detector.facts["size"])
    images = np.rint(found * 255).astype(np.uint8)
    names = [file.relative_to(config.images) for file in files]
    calibration = detector.calibration
    scores = detector.scores(images)[calibration["score"]]
    threshold = calibration["thresholds"][config.threshold]
    scaled, strange = scale(scores, threshold, *calibration["range"]), scores >= threshold
    order = np.argsort(-scores, kind="stable")
    report = Report(config.workdir or Path("runs") / f"ganomaly_score-{config.images.name}")
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "score", "scaled", "anomaly"])
    for i in order:
        rows.writerow([names[i], f"{scores[i]:.6g}", f"{scaled[i]:.4f}", int(strange[i])])
        print(f"{names[i]}: {scaled[i]:.2f}{', an anomaly' if strange[i] else ''}")
    report.write_text("scores.csv", table.getvalue())

    def sheet(indices):
        titles = [(f"{scaled[i]:.2f}", "tab:red" if strange[i] else "tab:green") for i in indices]
        shown = images[indices]
        return draw_sheet(shown / 255, detector.reconstruct(shown), titles)

    report.save_figure(sheet(order[:24]), "sheet.png")
    maps = Report(report.workdir / "maps")
    for i in order:
        maps.save_figure(sheet([i]), f"{'-'.join(names[i].with_suffix('').parts)}.png")
    print(
        f"ganomaly_score: {int(strange.sum())} of {len(files)} images are anomalies "
        f"({config.threshold} of healthy {calibration['score']} scores); see {report.workdir}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
