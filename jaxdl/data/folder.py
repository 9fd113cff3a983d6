"""A folder of images, one folder for each class, as drawings like those of the data sets."""

from pathlib import Path

import numpy as np

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
SIDE = 28
_MAX_PIXELS = 50_000_000  # of an image before it is shrunk


def load(
    folder: str | Path, side: int = SIDE
) -> tuple[np.ndarray, np.ndarray, list[Path], list[str]]:
    """Reads `folder/CLASS/FILE`, or `folder/FILE` for images of unknown class.

    An image is made grey, resized, and turned so that its background is 0: that is the
    side of the middle grey on which most of its border is.

    Args:
      folder: where the images are; names that begin with a dot are passed over.
      side: height and width to which they are resized, in pixels.

    Returns:
      (images [B, side, side, 1] float32 in [0, 1]; label int32 [B], -1 where unknown; the files;
      the classes' names, sorted).

    Raises:
      ValueError: there is no such folder, there are no images in it, or one cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    files = [
        file
        for file in sorted([*folder.glob("*"), *folder.glob("*/*")])
        if file.suffix.lower() in SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]
    if not files:
        raise ValueError(f"there are no images in {folder} ({', '.join(SUFFIXES)})")
    of_class = [file.parent.name if file.parent != folder else None for file in files]
    names = sorted({name for name in of_class if name is not None})
    label = [-1 if name is None else names.index(name) for name in of_class]
    return (
        np.stack([_drawing(file, side) for file in files]),
        np.array(label, np.int32),
        files,
        names,
    )


def _drawing(file: Path, side: int) -> np.ndarray:
    """Returns an image as [side, side, 1], float32 in [0, 1], on a background of 0."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as opened:
            image: Image.Image = opened
            if image.width * image.height > _MAX_PIXELS:
                raise ValueError(f"{file} has more than {_MAX_PIXELS:,} pixels")
            if "A" in image.getbands():  # what is transparent is paper
                paper = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(paper, image.convert("RGBA"))
            small = image.convert("L").resize((side, side), Image.Resampling.LANCZOS)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as an image ({error})") from error
    pixels = np.asarray(small, np.float32) / 255
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return (1 - pixels if np.median(border) > 0.5 else pixels)[..., None]
