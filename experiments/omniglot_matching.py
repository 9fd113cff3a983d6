"""Learn embeddings whose neighbours tell new characters apart (matching networks).

python -m experiments.omniglot_matching
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """Matching networks on Omniglot."""

    network: Literal["conv4", "conv4_pooled"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling."""
    train_way: int = 20
    """Classes in a training episode."""
    scale: float = 10.0
    """Of the cosine similarities in the softmax."""
    full_context: bool = False
    """Embed the support set and the queries with regard to one another (FCE)."""
    attention_steps: int = 5
    """Rounds of attention with full context."""
    meta_batch: int = 4
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_matching", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import matching
    from jaxdl.nn.fewshot import Conv4

    network = Conv4(downsampling="pooled" if config.network == "conv4_pooled" else "strided")
    settings = command.pick(matching.Config, config)
    return episodic.Built(
        method=matching.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=matching.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
