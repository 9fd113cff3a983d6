"""Pictures of episodes, and of images that were classified from a few examples.

Shapes: N ways, Q queries per way, B images, H W image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def episode_figure(episode: dict[str, Any], predictions: Mapping[str, np.ndarray]) -> Any:
    """Draws one episode: each class's support, and its queries as one or more classifiers see them.

    Args:
      episode: as `episodes.sample_episode` gives it, N ways and Q queries of each.
      predictions: from the classifier's name, such as "before adaptation", to the labels that it
        predicts for the queries, [N*Q].

    Returns:
      A matplotlib Figure: one row per class; a query's frame is green where the prediction is
      right and red, with the predicted class, where it is wrong.
    """
    from matplotlib.figure import Figure  # heavy, and needed once a run

    support, query = episode["support"], episode["query"]
    way = len(episode["class"])
    shot, queries = len(support["label"]) // way, len(query["label"]) // way
    shown = min(queries, 8)
    columns = shot + len(predictions) * shown
    width, height = 0.75 * (columns + 1.2), 0.85 * way + 0.6  # inches
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(way, columns, squeeze=False)
    left, right, bottom, top = 0.35 / width, 1 - 0.1 / width, 0.1 / height, 1 - 0.4 / height
    figure.subplots_adjust(left, bottom, right, top, wspace=0.12, hspace=0.12)

    def show(axes, image, predicted=None, label=None):
        axes.imshow(1 - np.asarray(image)[..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[])
        if predicted is None:
            return
        colour = "tab:green" if predicted == label else "tab:red"
        for spine in axes.spines.values():
            spine.set(color=colour, linewidth=2)
        if predicted != label:
            axes.text(1, 6, str(predicted), color=colour, fontsize=8, fontweight="bold")

    for label in range(way):
        for column in range(shot):
            show(grid[label, column], support["image"][label * shot + column])
        grid[label, 0].set_ylabel(str(label), rotation=0, labelpad=8, va="center")
        for column in range(shown):
            index = label * queries + column
            for panel, predicted in enumerate(predictions.values()):
                axes = grid[label, shot + panel * shown + column]
                show(axes, query["image"][index], int(predicted[index]), label)
    grid[0, 0].set_title("support", loc="left", fontsize=9)
    for panel, (name, predicted) in enumerate(predictions.items()):
        title = f"queries, {name} ({accuracy(predicted, query):.0%} right)"
        grid[0, shot + panel * shown].set_title(title, loc="left", fontsize=9)
    return figure


def accuracy(predicted: np.ndarray, query: dict[str, Any]) -> float:
    """Returns the share of predicted labels that are right."""
    return float(np.mean(np.asarray(predicted) == np.asarray(query["label"])))


def classes_figure(
    support: tuple[np.ndarray, np.ndarray],
    images: np.ndarray,
    probability: np.ndarray,
    truth: np.ndarray,
    names: Sequence[str],
) -> Any:
    """Draws a row for each class: its examples, then the images that were given to it.

    Args:
      support: images [n, H, W, 1] in [0, 1] and their labels [n].
      images: that were classified, [B, H, W, 1].
      probability: of each class, [B, N].
      truth: int [B], -1 where it is not known.
      names: of the classes.
    """
    from matplotlib.figure import Figure

    drawings, label = support
    shown, predicted = 10, probability.argmax(-1)
    examples = min(5, max((label == number).sum() for number in range(len(names))))
    figure = Figure(figsize=(0.8 * (examples + shown + 1), 0.95 * len(names) + 0.5))
    grid = figure.subplots(len(names), examples + shown, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()

    def show(axes, image, title, colour):
        axes.imshow(1 - image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set_title(title, fontsize=6, color=colour)

    for number, name in enumerate(names):
        for column, index in enumerate((label == number).nonzero()[0][:examples]):
            show(grid[number, column], drawings[index], name if column == 0 else "", "black")
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
