"""Find the garment that was never seen: GANomaly, an autoencoder and principal components.

python -m experiments.fashion_ganomaly                    # scikit-learn's digits, minutes
python -m experiments.fashion_ganomaly --dataset fashion_mnist
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
    """GANomaly, an autoencoder and principal components on garments, each kind as the anomaly."""

    method: methods.GANomaly = methods.GANomaly(features=8)


def make(config: Config, facts: Mapping[str, Any], part: str = "ganomaly") -> Any:
    """Makes the detector of a part, `anomaly-0/ganomaly` or `anomaly-0/autoencoder`."""
    from jaxdl.methods.gan import autoencoder, ganomaly

    settings, adam = options.told(config.method, facts), config.training.adam()
    if part.endswith("autoencoder"):
        return autoencoder.make(settings, optimizer=adam)
    return ganomaly.make(settings, optimizer=adam)


load, opened = configs.load_anomalies, configs.open_detector


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import anomalies

    anomalies.experiment(
        "fashion_ganomaly",
        config,
        make,
        detectors=("ganomaly", "autoencoder"),
        auto="fashion_mnist",
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
