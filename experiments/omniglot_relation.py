"""Learn to say how alike two characters are (relation networks).

python -m experiments.omniglot_relation
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """Relation networks on Omniglot."""

    queries: int = 10
    """Drawings of each class to be classified in a training episode."""
    meta_batch: int = 2
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_relation", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import relation

    settings = command.pick(relation.Config, config)
    return episodic.Built(
        method=relation.make(settings, optimizer=optax.adam(rate)),
        learner=relation.learner(settings),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
