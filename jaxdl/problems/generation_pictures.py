"""Pictures of generated images."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image


def row(images: Any) -> np.ndarray:
    """Returns images [n, H, W, C] in [-1, 1] side by side, uint8 [H, n * W]."""
    grey = np.asarray(images).mean(-1)
    return np.rint(np.concatenate(list(grey), 1) * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def over_time(folder: Path) -> Figure:
    """Draws the rows of pictures in a folder below one another, each with its step."""
    files = sorted(folder.glob("step-*.png"))
    figure = Figure(figsize=(8, 0.8 * len(files) + 0.2), layout="constrained")
    for axes, file in zip(figure.subplots(len(files), 1, squeeze=False)[:, 0], files, strict=True):
        with file.open("rb") as opened, Image.open(opened) as image:
            axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(f"{int(file.stem.removeprefix('step-')):,}", fontsize=7)
    return figure
