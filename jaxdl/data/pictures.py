"""Pictures of episodes."""

from typing import Any

import numpy as np


def episode_figure(episode: dict[str, Any], before: np.ndarray, after: np.ndarray) -> Any:
    """Draws one episode: each class's support, and its queries before and after adaptation.

    Args:
      episode: as `episodes.sample_episode` gives it, N ways and Q queries of each.
      before: predicted labels of the queries before adaptation, [N*Q].
      after: the same after adaptation.

    Returns:
      A matplotlib Figure: one row per class; a query's frame is green where the prediction is
      right and red, with the predicted class, where it is wrong.
    """
    from matplotlib.figure import Figure  # heavy, and needed once a run

    support, query = episode["support"], episode["query"]
    way = len(episode["class"])
    shot, queries = len(support["label"]) // way, len(query["label"]) // way
    shown = min(queries, 8)
    figure = Figure(figsize=(0.75 * (shot + 2 * shown + 1.2), 0.85 * way + 0.6))
    grid = figure.subplots(way, shot + 2 * shown, squeeze=False)
    figure.subplots_adjust(0.02, 0.02, 0.98, 0.88, wspace=0.12, hspace=0.12)

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
            for offset, predicted in ((shot, before), (shot + shown, after)):
                axes = grid[label, offset + column]
                show(axes, query["image"][index], int(predicted[index]), label)
    titles = (
        (0, "support"),
        (shot, f"queries before adaptation ({accuracy(before, query):.0%} right)"),
        (shot + shown, f"queries after adaptation ({accuracy(after, query):.0%} right)"),
    )
    for column, title in titles:
        grid[0, column].set_title(title, loc="left", fontsize=9)
    return figure


def accuracy(predicted: np.ndarray, query: dict[str, Any]) -> float:
    """Returns the share of predicted labels that are right."""
    return float(np.mean(np.asarray(predicted) == np.asarray(query["label"])))
