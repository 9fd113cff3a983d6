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
from typing import Any

from experiments import episodic_finished
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
    import jax
    import numpy as np

    from jaxdl.data import folder
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
    _, built, state = episodic_finished.read(config.checkpoint, len(names))
    logits = jax.jit(built.learner.predict)(
        state.params, state.extra, {"image": support, "label": label}, images
    )["inductive"][-1]
    probability = np.asarray(jax.nn.softmax(logits))
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
    report.save_figure(draw(support, label, images, probability, truth, names), "sheet.png")
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


def draw(
    support: Any, label: Any, images: Any, probability: Any, truth: Any, names: list[str]
) -> Any:
    """Draws a row for each class: its examples, then the images that were given to it."""
    from matplotlib.figure import Figure

    shown = 10
    predicted = probability.argmax(-1)
    examples = min(5, max((label == n).sum() for n in range(len(names))))
    figure = Figure(figsize=(0.8 * (examples + shown + 1), 0.95 * len(names) + 0.5))
    grid = figure.subplots(len(names), examples + shown, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()

    def show(axes, image, title, colour):
        axes.imshow(1 - image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=6, color=colour)

    for number, name in enumerate(names):
        for column, index in enumerate((label == number).nonzero()[0][:examples]):
            show(grid[number, column], support[index], name if column == 0 else "", "black")
        given = (predicted == number).nonzero()[0]
        given = given[probability[given, number].argsort()[::-1]][:shown]
        for column, index in enumerate(given):
            wrong = truth[index] >= 0 and truth[index] != number
            colour = "tab:red" if wrong else "tab:green" if truth[index] >= 0 else "black"
            title = f"{probability[index, number]:.0%}" + (
                f" ({names[truth[index]]})" if wrong else ""
            )
            show(grid[number, examples + column], images[index], title, colour)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
