"""The picture of how a training went."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure


def draw(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str], chance: float | None) -> Figure:
    """Draws one panel for each metric: training as a line, validation as points.

    Args:
      rows: of metrics.jsonl.
      metrics: which to draw.
      chance: accuracy of a guess, in [0, 1], drawn as a dashed line; None for none.
    """
    figure = Figure(figsize=(5 * len(metrics), 3.6), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for split, style in (("train", {"linewidth": 0.8}), ("valid", {"marker": "o"})):
            points = [
                (row["step"], row[metric])
                for row in rows
                if row["split"] == split and metric in row
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=split, markersize=3, **style)
        if metric == "accuracy" and chance is not None:
            axes.axhline(chance, linestyle="--", color="grey", label="chance")
        axes.set(xlabel="step", ylabel=metric)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    return figure
