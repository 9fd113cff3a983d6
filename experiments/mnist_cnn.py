"""Tell handwritten digits apart with a convolutional network.

python -m experiments.mnist_cnn                                    # scikit-learn's digits, a minute
python -m experiments.mnist_cnn --dataset mnist
python -m experiments.mnist_cnn --dataset mnist --preset notes     # the notes' own network
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import classification
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(classification.Config):
    """A convolutional network of digits."""

    preset: Literal["best", "notes"] = "best"
    """`best`: 3 x 3 convolutions with batch normalisation, on distorted images; `notes`: two
    convolutions without an activation, SGD at 0.1. Also defaults of the other options."""


PRESETS: dict[str, dict[str, Any]] = {
    "best": {
        **{"epochs": 10, "learning_rate": 3e-3, "warmup": 0.1, "dropout": 0.3},
        **{"degrees": 10.0, "scale": 0.1, "shear": 0.1, "shift": 2.0, "average_decay": 0.99},
    },
    "notes": {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant"},
}


def main(config: Config) -> None:
    """Runs the experiment."""
    classification.run("mnist_cnn", config, lambda classes: _network(config, classes))


def _network(config, classes):
    from jaxdl.nn.classify import CNN

    if config.preset == "notes":  # 30,074 parameters
        return CNN(((16,), (32,)), (16,), classes, activate=False, bfloat16=config.bfloat16)
    return CNN(
        ((32,), (64, 64)),
        (128,),
        classes,
        batch_norm=True,
        dropout=config.dropout,
        bfloat16=config.bfloat16,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
