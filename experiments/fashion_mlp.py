"""Tell garments apart with one hidden layer.

python -m experiments.fashion_mlp                                  # scikit-learn's digits, seconds
python -m experiments.fashion_mlp --dataset fashion_mnist
"""

import dataclasses
import sys

from experiments import classification
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(classification.Config):
    """The notes' perceptron of garments, 203,530 parameters; its options are the notes' too."""

    hidden: tuple[int, ...] = (256,)
    """Units of the hidden layers; none for softmax regression."""
    batch: int = 64
    """Images in a training step."""
    optimizer: classification.Optimizer = "sgd"
    """See jaxdl.train.optimizers."""
    learning_rate: float = 0.1
    """The largest."""
    schedule: classification.Schedule = "constant"
    """Of the learning rate: it stays, falls to 0, or goes up and down four times."""


def main(config: Config) -> None:
    """Runs the experiment."""
    import flax.linen as nn

    from jaxdl.nn.classify import MLP

    classification.run(
        "fashion_mlp",
        config,
        lambda classes: MLP(
            config.hidden, classes, dropout=config.dropout, kernel_init=nn.initializers.normal(0.01)
        ),
        auto="fashion_mnist",
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
