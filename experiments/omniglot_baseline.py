"""Train on all characters at once, and fit a new last layer to new ones (Baseline, Baseline++).

python -m experiments.omniglot_baseline
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from jaxdl.methods.fewshot import configs as methods
from jaxdl.nn import configs as nets
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.FewShot):
    """Baseline and Baseline++ on Omniglot."""

    problem: configs.Episodes = configs.Episodes(train_way=20)
    training: configs.Comparing = configs.Comparing()
    network: nets.MetricNetwork = nets.MetricNetwork()
    method: methods.Baseline = methods.Baseline()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import baseline

    return baseline.make(
        options.told(config.method, facts),
        network=config.network.build(),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_baseline", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
