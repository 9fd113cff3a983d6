"""The labelled images of an experiment: a TFDS data set, or scikit-learn's digits everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from jaxdl.data import prepare, sources

DataSet = Literal["auto", "digits", "mnist", "fashion_mnist"]
GARMENTS = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def load(
    dataset: DataSet,
    *,
    data_dir: str | Path | None = None,
    auto: DataSet = "mnist",
    size: int | None = None,
) -> tuple[DataSet, sources.Arrays]:
    """Loads the images that a user asked for, preparing them when they are not there yet.

    Args:
      dataset: `mnist` or `fashion_mnist`; `digits`, which comes with scikit-learn; or `auto`, the
        data set `auto` if it is prepared or can be downloaded, else digits, with a notice on
        standard output.
      data_dir: the folder of TFDS directories; None means TFDS_DATA_DIR, or TFDS's own default.
      auto: see `dataset`.
      size: pixels along each edge, see `resize`; None for as many as there are.

    Returns:
      (name, arrays): the data set, and `train` and `test`, each `image` uint8 [n, H, W, 1], ink 255
      on 0, and `label` int32 [n].

    Raises:
      ValueError: a data set was asked for and cannot be had, or its files are damaged.
    """
    name, arrays = _load(dataset, data_dir, auto)
    if size is not None:
        for fields in arrays.values():
            fields["image"] = resize(fields["image"], size)
    return name, arrays


def _load(
    dataset: DataSet, data_dir: str | Path | None, auto: DataSet
) -> tuple[DataSet, sources.Arrays]:
    if dataset == "digits":
        return "digits", digits()
    name = auto if dataset == "auto" else dataset
    if not sources.available(name, data_dir):
        try:
            prepare.download_and_prepare(name, data_dir)
        except (ValueError, OSError) as error:
            if dataset != "auto":
                raise
            print(f"{name} cannot be had ({error}); using scikit-learn's digits instead")
            return "digits", digits()
    return name, sources.load(name, data_dir=data_dir)


def name_of(dataset: str, label: int) -> str:
    """Returns what a person calls a class of a data set that `load` knows."""
    return GARMENTS[label] if dataset == "fashion_mnist" else str(label)


def digits() -> sources.Arrays:
    """Returns scikit-learn's 1,797 handwritten digits of 8 x 8 pixels; the last 360 are `test`."""
    from sklearn.datasets import load_digits

    found = load_digits()
    image = np.rint(found.images * (255 / 16)).astype(np.uint8)[..., None]
    label = found.target.astype(np.int32)
    train, test = slice(None, -360), slice(-360, None)
    return {
        name: {"image": image[part], "label": label[part]}
        for name, part in (("train", train), ("test", test))
    }


def unit(images: Any) -> Any:
    """Returns images in [0, 1]: bytes by their 255th part, floating-point ones as they are."""
    return images / 255.0 if images.dtype == "uint8" else images


def signed(images: Any) -> Any:
    """Returns images in [-1, 1], of bytes or of floating-point ones in [0, 1]."""
    return images / 127.5 - 1.0 if images.dtype == "uint8" else 2.0 * images - 1.0


def checked(images: Any, shape: Sequence[int]) -> np.ndarray:
    """Returns a user's images as [n, H, W, C], bytes, or floats in [0, 1].

    Args:
      images: [n, H, W] or [n, H, W, C].
      shape: H, W and C.

    Raises:
      ValueError: there are none, they have another shape, or numbers of another kind or range.
    """
    images = np.asarray(images)
    images = images[..., None] if images.ndim == 3 else images
    if images.ndim != 4 or not len(images) or images.shape[1:] != tuple(shape):
        raise ValueError(
            f"expected images [n, {', '.join(map(str, shape))}], n at least 1, got "
            f"{list(images.shape)}"
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating) or not (images >= 0).all() or images.max() > 1:
        raise ValueError(
            f"expected images of type uint8, or floats from 0 to 1, got {images.dtype} from "
            f"{images.min()} to {images.max()}"
        )
    return images.astype(np.float32)


def resize(images: np.ndarray, size: int) -> np.ndarray:
    """Returns images [n, H, W, C] as [n, size, size, C], uint8, interpolated bilinearly."""
    import jax

    if images.shape[1:3] == (size, size):
        return images
    shape = (len(images), size, size, images.shape[-1])
    resized = jax.image.resize(images.astype(np.float32), shape, "bilinear")
    return np.rint(np.asarray(resized)).clip(0, 255).astype(np.uint8)
