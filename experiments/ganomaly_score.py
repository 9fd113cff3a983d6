"""Say of your own images how strange they are to a detector that was trained on healthy ones.

    python -m experiments.ganomaly_score --images DIR --checkpoint runs/RUN/anomaly-0/ganomaly

DIR holds the images, or a folder of them for each class. Writes a table of scores, an image, its
reconstruction and a heat map of the difference for each file, and all of them sorted by score. An
image is an anomaly when its score reaches the threshold: 0.5 on the scale from 0 to 1.
"""

import csv
import dataclasses
import io
import json
import sys
from pathlib import Path
from typing import Literal

from experiments import anomaly, anomaly_pictures
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
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.data import folder
    from jaxdl.data.images import unit
    from jaxdl.ops.anomaly import scale
    from jaxdl.train.checkpoint import Checkpoints
    from jaxdl.train.report import Report

    for name in ("images", "checkpoint"):
        if getattr(config, name) is None:
            raise ValueError(f"--{name} is needed; see --help")
    trained = Report(config.checkpoint).workdir
    try:
        stored = json.loads((trained / "detector.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{trained} has no trained detector") from error
    known = {field.name for field in dataclasses.fields(anomaly.Config)}
    options = anomaly.Config(**{k: v for k, v in stored["config"].items() if k in known})
    made = anomaly.detector(stored["detector"], options)
    template = jax.eval_shape(
        made.method.init,
        jax.random.key(0),
        {"image": jax.ShapeDtypeStruct((1, options.size, options.size, 1), jnp.float32)},
    )
    with Checkpoints(trained / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(template)
    found, _, files, _ = folder.load(config.images, options.size)
    images = np.rint(found * 255).astype(np.uint8)
    scores = anomaly.scorer(made)(state, images)[stored["score"]]
    threshold = stored["thresholds"][config.threshold]
    scaled = scale(scores, threshold, *stored["range"])
    report = Report(config.workdir or Path("runs") / f"ganomaly_score-{config.images.name}")
    table = io.StringIO()
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["file", "score", "scaled", "anomaly"])
    order = np.argsort(-scores, kind="stable")
    for index in order:
        name = str(files[index].relative_to(config.images))
        strange = bool(scores[index] >= threshold)
        rows.writerow([name, f"{scores[index]:.6g}", f"{scaled[index]:.4f}", int(strange)])
        print(f"{name}: {scaled[index]:.2f}{', an anomaly' if strange else ''}")
    report.write_text("scores.csv", table.getvalue())
    reconstruct = jax.jit(made.reconstruct)

    def sheet(indices):
        shown = unit(images[indices])
        return anomaly_pictures.draw_sheet(
            shown,
            np.asarray(reconstruct(state, shown)),
            [
                (f"{scaled[i]:.2f}", "tab:red" if scores[i] >= threshold else "tab:green")
                for i in indices
            ],
        )

    report.save_figure(sheet(order[:24]), "sheet.png")
    maps = Report(report.workdir / "maps")
    for index in order:
        name = "-".join(files[index].relative_to(config.images).with_suffix("").parts)
        maps.save_figure(sheet([index]), f"{name}.png")
    print(
        f"ganomaly_score: {int((scores >= threshold).sum())} of {len(files)} images are anomalies "
        f"({config.threshold} of healthy {stored['score']} scores); see {report.workdir}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
