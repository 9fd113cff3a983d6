"""Meta-learn an initialisation and the rate of every parameter's inner step (Meta-SGD).

python -m experiments.omniglot_meta_sgd
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
    """Meta-SGD on Omniglot."""

    network: nets.InnerLoopNetwork = nets.InnerLoopNetwork()
    method: methods.MetaSGD = methods.MetaSGD()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import meta_sgd

    return meta_sgd.make(
        options.told(config.method, facts),
        network=config.network.build(facts["way"], config.method.normalisation),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_meta_sgd", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
