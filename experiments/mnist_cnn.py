"""Tell handwritten digits apart with a convolutional network.

python -m experiments.mnist_cnn                                    # scikit-learn's digits, a minute
python -m experiments.mnist_cnn --dataset mnist
python -m experiments.mnist_cnn --dataset mnist --preset notes     # the notes' own network
python -m experiments.mnist_cnn --dataset mnist --preset notes --softmax-twice   # and a mistake
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
    """Defaults of the other options: what is most accurate in minutes, or what the notes do, SGD at
    0.1."""
    network: Literal["normalised", "notes"] = "normalised"
    """Three convolutions with batch normalisation, or the notes' two without an activation."""
    softmax_twice: bool = False
    """Give the loss probabilities where it takes logits, as a softmax at the end of a network does
    in PyTorch: some classes are then never learned."""


PRESETS: dict[str, dict[str, Any]] = {
    "best": {
        **{"epochs": 10, "learning_rate": 3e-3, "warmup": 0.1, "dropout": 0.3},
        **{"degrees": 10.0, "scale": 0.1, "shear": 0.1, "shift": 2.0, "average_decay": 0.99},
    },
    "notes": {"network": "notes", "optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant"},
}


def main(config: Config) -> None:
    """Runs the experiment."""
    classification.run("mnist_cnn", config, lambda classes: _network(config, classes))


def _network(config, classes):
    import flax.linen as nn
    import jax

    from jaxdl.nn.classify import CNN

    class Probabilities(nn.Module):
        """A network whose outputs are probabilities, which the loss takes for logits."""

        network: nn.Module

        def __call__(self, images, *, train=False):
            return jax.nn.softmax(self.network(images, train=train))

    if config.network == "notes":  # 30,074 parameters
        cnn = CNN(((16,), (32,)), (16,), classes, activate=False, bfloat16=config.bfloat16)
    else:
        cnn = CNN(
            ((32,), (64, 64)),
            (128,),
            classes,
            batch_norm=True,
            dropout=config.dropout,
            bfloat16=config.bfloat16,
        )
    return Probabilities(cnn) if config.softmax_twice else cnn


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
