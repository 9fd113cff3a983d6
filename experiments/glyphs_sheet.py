"""Draws glyphs beside real Omniglot characters, to be looked at.

    python -m experiments.glyphs_sheet

Each row holds the drawings of two glyph classes on the left and of two real ones on the right,
if Omniglot is prepared on this machine. Takes about half a minute on one core, most of it
compilation.
"""

import dataclasses
import pathlib
import sys

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Draws a contact sheet of glyphs and real characters."""

    classes: int = 32
    """Classes shown on each side."""
    drawers: int = 6
    """Drawings shown of each class, at most 20."""
    seed: int = 0
    """Seed of the glyphs and of the choice of real classes."""
    workdir: pathlib.Path = pathlib.Path("runs/glyphs_sheet")
    """Folder of the sheet."""


def main(config: Config) -> None:
    """Draws the sheet and says where it is."""
    import matplotlib.figure

    from jaxdl.data import glyphs, sources
    from jaxdl.train.report import Report

    if config.classes < 2 or not 1 <= config.drawers <= 20:
        raise ValueError(
            f"got {config.classes} classes of {config.drawers} drawers, "
            "expected at least 2 classes of 1 to 20 drawers"
        )
    made = glyphs.load(classes=glyphs.ALPHABET_SIZE * config.classes, seed=config.seed)["train"]
    sides = {"glyphs": _grid(made["image"], config)}  # one of each alphabet, on average
    if sources.available("omniglot"):
        sides["Omniglot (evaluation classes)"] = _grid(
            sources.load("omniglot")["test"]["image"], config
        )
    else:
        print("Omniglot is not prepared on this machine: the sheet shows glyphs only")

    height, width = sides["glyphs"].shape
    figure = matplotlib.figure.Figure((width * len(sides) / 50, height / 50 + 0.5))
    figure.subplots_adjust(0.01, 0.01, 0.99, 1 - 0.4 / (height / 50 + 0.5), wspace=0.03)
    for axes, (title, grid) in zip(
        figure.subplots(1, len(sides), squeeze=False)[0], sides.items(), strict=True
    ):
        axes.imshow(grid, cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(title)
        axes.axis("off")
    Report(config.workdir).save_figure(figure, "glyphs.png")
    print(f"contact sheet of {' and '.join(sides)}: {config.workdir / 'glyphs.png'}")


def _grid(image, config):
    """Two classes a row with a grey line between them, from uint8 [class, drawer, 28, 28]."""
    import numpy as np

    count = min(config.classes, len(image)) // 2 * 2
    chosen = np.random.default_rng(config.seed).choice(len(image), count, replace=False)
    tiles = image[chosen, : config.drawers]
    tiles = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
    rows = tiles.transpose(0, 2, 1, 3).reshape(count, tiles.shape[2], -1)
    rows = np.pad(rows, ((0, 0), (0, 1), (0, 2)), constant_values=96)
    return (
        rows.reshape(count // 2, 2, *rows.shape[1:])
        .transpose(0, 2, 1, 3)
        .reshape(count // 2 * rows.shape[1], -1)
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
