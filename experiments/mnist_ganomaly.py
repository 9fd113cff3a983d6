"""Find the digit that was never seen: GANomaly, beside an autoencoder and principal components.

python -m experiments.mnist_ganomaly                    # scikit-learn's digits, minutes
python -m experiments.mnist_ganomaly --preset cpu       # MNIST, a quarter of the channels
python -m experiments.mnist_ganomaly --preset paper     # MNIST, the authors' network, for a GPU
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import anomaly
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(anomaly.Config):
    """GANomaly, an autoencoder and principal components on digits, each digit as the anomaly."""

    preset: Literal["digits", "cpu", "paper"] = "digits"
    """Defaults of the other options."""


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"batch": 32},
    "cpu": {"dataset": "mnist", "features": 16, "epochs": 8},
    "paper": {"dataset": "mnist", "features": 64, "epochs": 15},
}


def main(config: Config) -> None:
    """Runs the experiment."""
    anomaly.run("mnist_ganomaly", config, ("ganomaly", "autoencoder", "pca"), "mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
