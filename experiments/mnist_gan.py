"""Generate handwritten digits.

python -m experiments.mnist_gan                    # scikit-learn's digits, minutes
python -m experiments.mnist_gan --dataset mnist
"""

import dataclasses
import sys

from experiments import generation
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(generation.Config):
    """A generative adversarial network of digits."""


def main(config: Config) -> None:
    """Runs the experiment."""
    generation.run("mnist_gan", config, "mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
