"""Learn to start near where training on five new characters would end (Reptile).

python -m experiments.omniglot_reptile
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from jaxdl.methods.fewshot import configs as methods
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training(configs.Outer):
    """How Reptile is trained."""

    meta_batch: int = 6
    """Tasks in a training step."""
    learning_rate: float = 1.0
    """Share of the way to the inner loops' mean end that an outer step goes, at the start."""
    schedule: options.Schedule = "linear"
    """How that share falls over all the steps."""
    steps: int = 12000
    """Training steps."""
    eval_every: int = 2000
    """Steps between validations, each followed by a checkpoint."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.FewShot):
    """Reptile on Omniglot; an episode's queries are trained on too."""

    problem: configs.Episodes = configs.Episodes(train_shot=9, queries=1)
    training: Training = Training()
    method: methods.Reptile = methods.Reptile()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import reptile

    return reptile.make(
        options.told(config.method, facts), optimizer=optax.sgd(config.training.rate())
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_reptile", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
