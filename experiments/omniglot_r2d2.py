"""Learn features on which ridge regression tells new characters apart (R2-D2).

python -m experiments.omniglot_r2d2
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """R2-D2 on Omniglot."""

    network: Literal["conv4", "conv4_pooled"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling."""
    train_way: int = 20
    """Classes in a training episode."""
    penalty: float = 1.0
    """Of the ridge regression, before training; it is learned."""
    scale: float = 10.0
    """Of the regression's outputs as logits, before training; it is learned too."""
    meta_batch: int = 4
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    steps: int = 4800
    """Training steps."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_r2d2", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import r2d2
    from jaxdl.nn.fewshot import Conv4

    network = Conv4(downsampling="pooled" if config.network == "conv4_pooled" else "strided")
    settings = command.pick(r2d2.Config, config)
    return episodic.Built(
        method=r2d2.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=r2d2.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
