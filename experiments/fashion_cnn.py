"""Tell garments apart with a convolutional network of less than 100,000 parameters.

python -m experiments.fashion_cnn                                  # scikit-learn's digits, a minute
python -m experiments.fashion_cnn --dataset fashion_mnist
"""

import dataclasses
import sys

from experiments import classification
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(classification.Config):
    """A convolutional network of garments, 96,554 parameters."""

    epochs: int = 20
    """How often a training image is drawn, on average."""
    learning_rate: float = 3e-3
    """The largest."""
    warmup: float = 0.1
    """Share of the training in which the learning rate rises from 0."""
    weight_decay: float = 0.05
    """Share of every kernel that is taken away in a step, times the learning rate."""
    dropout: float = 0.3
    """Share of the units before dense layers that a training step leaves out."""
    shift: float = 2.0
    """Largest move of a training image, in pixels."""
    flip: bool = True
    """Mirror it left to right half the time."""
    average_decay: float = 0.99
    """Share of the averaged parameters, which are tested, that a step keeps; 0 for no average."""


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.nn.classify import CNN

    classification.run(
        "fashion_cnn",
        config,
        lambda classes: CNN(
            ((32, 32), (64, 64)),
            (),
            classes,
            batch_norm=True,
            dropout=config.dropout,
            bfloat16=config.bfloat16,
        ),
        auto="fashion_mnist",
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
