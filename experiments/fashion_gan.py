"""Generate garments.

python -m experiments.fashion_gan                    # scikit-learn's digits, minutes
python -m experiments.fashion_gan --dataset fashion_mnist
"""

import dataclasses
import sys

from experiments import generation
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(generation.Config):
    """A generative adversarial network of garments."""


def main(config: Config) -> None:
    """Runs the experiment."""
    generation.run("fashion_gan", config, "fashion_mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
