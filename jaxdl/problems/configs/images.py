"""Options of all problems with labelled images; imports no JAX."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Images:
    """Which labelled images are learned from."""

    dataset: Literal["auto", "digits", "mnist", "fashion_mnist"] = "digits"
    """Images: scikit-learn's digits, which need no files; MNIST or Fashion-MNIST; or `auto`, the
    data set of the experiment's name if it is prepared or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
