"""Find the digit that was never seen by the error of a convolutional autoencoder.

python -m experiments.mnist_autoencoder                    # scikit-learn's digits, minutes
python -m experiments.mnist_autoencoder --dataset mnist
"""

import dataclasses
import sys

from experiments import anomaly
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(anomaly.Config):
    """An autoencoder and principal components on digits, each digit as the anomaly."""


def main(config: Config) -> None:
    """Runs the experiment."""
    anomaly.run("mnist_autoencoder", config, ("autoencoder", "pca"), "mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
