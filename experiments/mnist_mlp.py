"""Tell handwritten digits apart with dense layers.

python -m experiments.mnist_mlp                                    # scikit-learn's digits, seconds
python -m experiments.mnist_mlp --dataset mnist
"""

import dataclasses
import sys

from experiments import classification
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(classification.Config):
    """The notes' perceptron of digits, 575,050 parameters; its options are the notes' too."""

    hidden: tuple[int, ...] = (512, 256, 128, 64)
    """Units of the hidden layers; none for softmax regression."""
    batch: int = 64
    """Images in a training step."""
    optimizer: classification.Optimizer = "momentum"
    """See jaxdl.train.optimizers."""
    momentum: float = 0.5
    """Of the optimizers `momentum` and `nag`."""
    learning_rate: float = 0.01
    """The largest."""
    schedule: classification.Schedule = "constant"
    """Of the learning rate: it stays, falls to 0, or goes up and down four times."""
    mean: float = 0.1307
    """Subtracted from the pixels, which are in [0, 1]."""
    deviation: float = 0.3081
    """By which they are divided then."""


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.nn.classify import MLP

    classification.run(
        "mnist_mlp", config, lambda classes: MLP(config.hidden, classes, dropout=config.dropout)
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
