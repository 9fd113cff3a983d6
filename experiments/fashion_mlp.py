"""Tell garments apart with one hidden layer.

python -m experiments.fashion_mlp                                  # scikit-learn's digits, seconds
python -m experiments.fashion_mlp --dataset fashion_mnist

Measured with the second on Fashion-MNIST's own test part, last step: 87.00 +- 1.22 % (3 seeds);
with --epochs 20 --schedule cosine 88.37 +- 0.05 %.
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from jaxdl.methods.supervised import configs as methods
from jaxdl.nn import configs as nets
from jaxdl.problems.configs import classification as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.Classification):
    """The notes' perceptron of garments, 203,530 parameters; its options are the notes' too."""

    hidden: tuple[int, ...] = (256,)
    """Units of the hidden layers; none for softmax regression."""
    training: configs.Training = configs.Training(
        batch=64, optimizer="sgd", learning_rate=0.1, schedule="constant"
    )
    layers: nets.Layers = nets.Layers()
    method: methods.Classifier = methods.Classifier()


def make(config: Config, facts: Mapping[str, Any], part: str = "") -> Any:
    """Makes the method from the options and what the data decide."""
    import flax.linen as nn

    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import MLP

    del part
    network = MLP(
        config.hidden,
        facts["classes"],
        dropout=config.layers.dropout,
        kernel_init=nn.initializers.normal(0.01),
    )
    return classifier.make(
        options.told(config.method, facts),
        network=network,
        optimizer=config.training.build(facts["examples"]),
    )


load, opened = configs.load_images, configs.open_recognizer


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import classification

    classification.experiment("fashion_mlp", config, make, auto="fashion_mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
