"""Meta-learn a last layer, and adapt the features alone to new characters (BOIL).

python -m experiments.omniglot_boil
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
    """BOIL on Omniglot."""

    network: nets.InnerLoopNetwork = nets.InnerLoopNetwork()
    method: methods.BOIL = methods.BOIL()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import boil

    return boil.make(
        options.told(config.method, facts),
        network=config.network.build(None, config.method.normalisation),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_boil", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
