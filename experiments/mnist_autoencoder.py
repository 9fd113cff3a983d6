"""Find the digit that was never seen by the error of a convolutional autoencoder.

python -m experiments.mnist_autoencoder                    # scikit-learn's digits, minutes
python -m experiments.mnist_autoencoder --dataset mnist
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from jaxdl.methods.gan import configs as methods
from jaxdl.problems.configs import anomalies as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.Detecting):
    """An autoencoder and principal components on digits, each digit as the anomaly."""

    method: methods.Autoencoder = methods.Autoencoder(features=8)


def make(config: Config, facts: Mapping[str, Any], part: str = "autoencoder") -> Any:
    """Makes the detector."""
    from jaxdl.methods.gan import autoencoder

    del part
    settings = options.told(config.method, facts)
    return autoencoder.make(settings, optimizer=config.training.adam())


load, opened = configs.load_anomalies, configs.open_detector


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import anomalies

    anomalies.experiment(
        "mnist_autoencoder", config, make, detectors=("autoencoder",), auto="mnist"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
