"""Learn features on which ridge regression tells new characters apart (R2-D2).

python -m experiments.omniglot_r2d2
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
    """R2-D2 on Omniglot."""

    problem: configs.Episodes = configs.Episodes(train_way=20)
    training: configs.Comparing = configs.Comparing()
    network: nets.MetricNetwork = nets.MetricNetwork()
    method: methods.R2D2 = methods.R2D2()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import r2d2

    return r2d2.make(
        options.told(config.method, facts),
        network=config.network.build(),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_r2d2", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
