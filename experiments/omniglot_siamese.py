"""Learn to say whether two drawings are of one character (Siamese networks).

python -m experiments.omniglot_siamese
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """Siamese networks on Omniglot."""

    network: Literal["conv4", "conv4_pooled"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling."""
    train_way: int = 20
    """Classes in a training episode, whose queries and support images are the pairs."""
    meta_batch: int = 4
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    steps: int = 3000
    """Training steps."""
    eval_every: int = 500
    """Steps between validations, each followed by a checkpoint."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_siamese", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import siamese
    from jaxdl.nn.fewshot import Conv4

    network = Conv4(downsampling="pooled" if config.network == "conv4_pooled" else "strided")
    settings = command.pick(siamese.Config, config)
    return episodic.Built(
        method=siamese.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=siamese.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
