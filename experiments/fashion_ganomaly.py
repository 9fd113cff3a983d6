"""Find the garment that was never seen: GANomaly, an autoencoder and principal components.

python -m experiments.fashion_ganomaly                    # scikit-learn's digits, minutes
python -m experiments.fashion_ganomaly --dataset fashion_mnist
"""

import dataclasses
import sys

from experiments import anomaly
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(anomaly.Config):
    """GANomaly, an autoencoder and principal components on garments, each kind as the anomaly."""


def main(config: Config) -> None:
    """Runs the experiment."""
    anomaly.run("fashion_ganomaly", config, ("ganomaly", "autoencoder", "pca"), "fashion_mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
