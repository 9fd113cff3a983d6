"""The options that experiments on labelled images have in common."""

import dataclasses
from pathlib import Path
from typing import Literal

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(command.Processes):
    """Options of every experiment on labelled images."""

    dataset: Literal["auto", "digits", "mnist", "fashion_mnist"] = "digits"
    """Images: scikit-learn's digits, which need no files; MNIST or Fashion-MNIST; or `auto`, the
    data set of the experiment's name if it is prepared or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default a folder of runs/."""
    seed: int = 0
    """Of the parameters and of all that is drawn."""
