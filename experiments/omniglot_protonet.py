"""Learn features in which a character is near the mean of its drawings (ProtoNet).

python -m experiments.omniglot_protonet
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """Prototypical networks on Omniglot."""

    network: Literal["conv4", "conv4_pooled"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling."""
    train_way: int = 60
    """Classes in a training episode."""
    meta_batch: int = 2
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    steps: int = 3000
    """Training steps."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_protonet", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import protonet
    from jaxdl.nn.fewshot import Conv4

    network = Conv4(downsampling="pooled" if config.network == "conv4_pooled" else "strided")
    settings = command.pick(protonet.Config, config)
    return episodic.Built(
        method=protonet.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=protonet.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
