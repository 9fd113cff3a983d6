"""Pictures of what a classifier gets wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from jaxdl.ops.classification import reliability


def draw_confusion(confusion: Any, names: Sequence[str]) -> Any:
    """Draws how often each class was taken for each.

    Args:
      confusion: int [A, A], true class by predicted class.
      names: of the classes.
    """
    classes = len(confusion)
    share = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(0.5 * classes + 1, 0.5 * classes + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share**0.5, cmap="Blues", vmin=0, vmax=1)  # the root shows the few mistakes
    for row, column in np.ndindex(classes, classes):
        if confusion[row, column]:
            colour = "white" if share[row, column] > 0.4 else "black"
            count = f"{confusion[row, column]}"
            axes.text(column, row, count, ha="center", va="center", color=colour, fontsize=7)
    turned = 90 if max(map(len, names)) > 2 else 0
    axes.set_xticks(range(classes), names, rotation=turned)
    axes.set_yticks(range(classes), names)
    axes.set(xlabel="predicted", ylabel="true")
    return figure


def draw_mistakes(
    images: Any, probability: Any, label: Any, names: Sequence[str], *, count: int = 40
) -> Any:
    """Draws the images whose true class was found least probable, the worst first.

    Args:
      images: uint8 [n, H, W, C].
      probability: [n, A].
      label: int [n].
      names: of the classes.
      count: how many are drawn at most.
    """
    found = probability.argmax(-1)
    own = probability[np.arange(len(label)), label]
    wrong = np.flatnonzero(found != label)
    wrong = wrong[np.argsort(own[wrong], kind="stable")][:count]
    columns = 10
    rows = max(-(-len(wrong) // columns), 1)
    figure = Figure(figsize=(columns * 1.1, rows * 1.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, index in zip(grid.flat, wrong, strict=False):
        axes.imshow(255 - images[index].mean(-1), cmap="gray", vmin=0, vmax=255)
        confidence = 100 * probability[index, found[index]]
        true, taken = names[label[index]], names[found[index]]
        axes.set_title(f"{true},\nnot {taken} ({confidence:.0f} %)", fontsize=6)
    return figure


def draw_pairs(images: Any, below: Any) -> Any:
    """Draws images, and another below each.

    Args:
      images: uint8 [n, H, W, C].
      below: [n, ...], of any range.
    """
    figure = Figure(figsize=(0.8 * len(images), 1.8), layout="constrained")
    for row, shown in zip(figure.subplots(2, len(images)), (images, below), strict=True):
        for axes, image in zip(row, np.asarray(shown, float), strict=True):
            axes.imshow(-image.mean(-1), cmap="gray")
            axes.axis("off")
    return figure


def draw_targets(images: Any, soft: Any) -> Any:
    """Draws images, and the probability of each class that a teacher gives below.

    Args:
      images: uint8 [n, H, W, C].
      soft: [n, A].
    """
    figure = Figure(figsize=(1.1 * len(images), 2.4), layout="constrained")
    above, below = figure.subplots(2, len(images), height_ratios=(1, 1.2))
    for axes, image in zip(above, images, strict=True):
        axes.imshow(255 - image.mean(-1), cmap="gray", vmin=0, vmax=255)
        axes.axis("off")
    for axes, row in zip(below, soft, strict=True):
        axes.bar(range(len(row)), row, width=0.9)
        axes.set(ylim=(0, 1), yticks=[], xticks=range(len(row)))
        axes.tick_params(labelsize=5)
    return figure


def draw_reliability(probability: dict[str, Any], label: Any) -> Any:
    """Draws how often predictions are right, by their confidence.

    Args:
      probability: [n, A], by the name of who predicts.
      label: int [n].
    """
    figure = Figure(figsize=(4.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="lightgrey")
    for name, values in probability.items():
        found = reliability(values, label)
        there = found.count > 0
        error = 100 * found.expected_calibration_error
        axes.plot(
            found.confidence[there],
            found.accuracy[there],
            marker="o",
            markersize=3,
            label=f"{name} ({error:.1f} %)",
        )
    axes.set(xlabel="confidence", ylabel="right", xlim=(0, 1.02), ylim=(0, 1.02))
    axes.legend(title="calibration error", fontsize=7)
    return figure


def draw_votes(images: Any, said: Any, label: Any) -> Any:
    """Draws images with what each model says of them.

    Args:
      images: uint8 [n, H, W, C].
      said: int [M, n].
      label: int [n].
    """
    columns = 10
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(columns * 0.9, rows * 1.25), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, votes, own in zip(grid.flat, images, said.T, label, strict=False):
        axes.imshow(255 - image.mean(-1), cmap="gray", vmin=0, vmax=255)
        axes.set_title(f"{own}: {' '.join(map(str, votes))}", fontsize=6)
    return figure


def draw_recalls(recalls: dict[str, Any], classes: Any) -> Any:
    """Draws the share of each class that is right.

    Args:
      recalls: [A], by the name of who predicts.
      classes: the names of the classes, [A].
    """
    figure = Figure(figsize=(1.3 * len(classes) + 2, 3.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(recalls)
    place = np.arange(len(classes))
    for number, (name, values) in enumerate(recalls.items()):
        axes.bar(place + (number + 0.5) * width - 0.4, np.asarray(values) * 100, width, label=name)
    lowest = 100 * min(min(values) for values in recalls.values())
    axes.set(xticks=place, ylabel="right, %", ylim=(max(lowest - 2, 0), 100))
    axes.set_xticklabels(classes)
    figure.legend(fontsize=7, loc="outside upper center", ncols=3)
    return figure
