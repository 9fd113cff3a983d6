"""Classify your own images from a few examples of each class.

    python -m experiments.few_shot_folder --images DIR --checkpoint runs/RUN

DIR/support/CLASS/FILE are the examples, any number of each of two or more classes; DIR/query/FILE
(or DIR/query/CLASS/FILE, when the answer is known) are the images to classify. RUN is a finished
run of a few-shot experiment; one of omniglot_protonet takes any number of classes. These networks
have seen characters alone: expect them to tell drawings apart, not photographs.
"""

import dataclasses
import sys
from pathlib import Path

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Few-shot classification of a folder of images."""

    images: Path | None = None
    """Folder with the folders `support` and `query`."""
    checkpoint: Path | None = None
    """Folder of a finished run, such as one of experiments.omniglot_protonet."""
    workdir: Path | None = None
    """Where the results go; by default in runs/."""


def main(config: Config) -> None:
    """Prints the class of every image with its probability, and draws a contact sheet."""
    import numpy as np

    from jaxdl.data import folder, pictures
    from jaxdl.problems.episodes import Classifier
    from jaxdl.train import run
    from jaxdl.train.report import Report

    for name in ("images", "checkpoint"):
        if getattr(config, name) is None:
            raise ValueError(f"--{name} is needed; see --help")
    support, label, _, names = folder.load(config.images / "support")
    if len(names) < 2 or (label < 0).any():
        raise ValueError(
            f"{config.images / 'support'} must hold two or more folders, one a class, and no "
            "images beside them"
        )
    images, truth, files, known = folder.load(config.images / "query")
    if unknown := sorted(set(known) - set(names)):
        raise ValueError(f"there is no example of the class {unknown[0]} in support")
    truth = np.array([names.index(known[t]) if t >= 0 else -1 for t in truth])
    trained = run.restore(config.checkpoint)
    if not isinstance(trained, Classifier):
        raise ValueError(f"{config.checkpoint} has no finished run of a few-shot experiment")
    probability = trained.predict((support, label), images)
    rows = [
        {
            "file": str(file.relative_to(config.images)),
            "class": names[row.argmax()],
            "probability": float(row.max()),
            "probabilities": dict(zip(names, row.tolist(), strict=True)),
        }
        for file, row in zip(files, probability, strict=True)
    ]
    for row in rows:
        print(f"{row['file']}: {row['class']} ({row['probability']:.0%})")
    report = Report(config.workdir or Path("runs") / f"few_shot_folder-{config.images.name}")
    report.write_json("predictions.json", rows)
    sheet = pictures.classes_figure((support, label), images, probability, truth, names)
    report.save_figure(sheet, "sheet.png")
    given = truth >= 0
    right = ""
    if given.any():
        right = (
            f", {np.mean(probability.argmax(-1)[given] == truth[given]):.1%} of {given.sum()} right"
        )
    print(
        f"few_shot_folder: {len(rows)} images, {len(names)} classes, {len(label)} examples{right}; "
        f"inductive; see {report.workdir}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
