"""Pictures of anomaly detection."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from sklearn.metrics import roc_curve


def draw_scores(scored: dict[str, tuple[Any, Any]], anomalous: Any) -> Figure:
    """Draws, for each kind of score, how healthy images and anomalies are distributed, and ROCs.

    Args:
      scored: scores of the validation images and of the test images [n], by kind.
      anomalous: bool [n], of the test images.
    """
    figure = Figure(figsize=(3.2 * (len(scored) + 1), 3), layout="constrained")
    panels = figure.subplots(1, len(scored) + 1)
    for axes, (kind, (_, test)) in zip(panels, scored.items(), strict=False):
        axes.hist(
            [test[~anomalous], test[anomalous]], 40, density=True, label=["healthy", "anomaly"]
        )
        axes.set(title=kind, yticks=[], xlabel="score")
        alarms, hits, _ = roc_curve(anomalous, test)
        panels[-1].plot(alarms, hits, label=kind)
    panels[0].legend(fontsize=7)
    panels[-1].set(xlabel="false alarms", ylabel="hits", title="ROC")
    panels[-1].legend(fontsize=7)
    return figure


def draw_sheet(images: Any, reconstructed: Any, titles: Sequence[tuple[str, str]]) -> Figure:
    """Draws images, their reconstructions and the absolute errors, one column each.

    Args:
      images: [n, H, W, C] in [0, 1].
      reconstructed: the same shape.
      titles: a text and a colour for each image.
    """
    figure = Figure(figsize=(0.8 * len(images) + 0.4, 2.7))
    grid = figure.subplots(3, len(images), squeeze=False)
    figure.subplots_adjust(0.02, 0.02, 0.98, 0.88, wspace=0.1, hspace=0.1)
    for column, (text, colour) in enumerate(titles):
        pair = images[column], reconstructed[column]
        for row, image in enumerate(pair):
            grid[row, column].imshow(1 - image.mean(-1), cmap="gray", vmin=0, vmax=1)
        error = abs(pair[0] - pair[1]).mean(-1)
        grid[2, column].imshow(error, cmap="inferno", vmin=0, vmax=1)
        grid[0, column].set_title(text, fontsize=7, color=colour)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure


def draw_measures(table: Mapping[int, Mapping[str, Any]]) -> Figure:
    """Draws the AUROC of every kind of score by the class that is the anomaly.

    Args:
      table: by class and kind of score, `{"mean", "low", "high"}`.
    """
    kinds = list(next(iter(table.values())))
    figure = Figure(figsize=(max(5, len(table)), 3.4), layout="constrained")
    axes = figure.subplots()
    for place, kind in enumerate(kinds):
        found = [row[kind] for row in table.values()]
        axes.errorbar(
            [x + 0.12 * (place - (len(kinds) - 1) / 2) for x in range(len(table))],
            [auroc["mean"] for auroc in found],
            [  # of few resamples the interval may lie beside the value
                [max(auroc["mean"] - auroc["low"], 0) for auroc in found],
                [max(auroc["high"] - auroc["mean"], 0) for auroc in found],
            ],
            fmt="o",
            markersize=4,
            label=kind,
        )
    axes.set_xticks(range(len(table)), [str(anomaly) for anomaly in table])
    axes.set(xlabel="class that is the anomaly", ylabel="AUROC, 95 % interval")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure
