"""Start the last layer from the prototypes of new characters, and adapt (Proto-MAML).

python -m experiments.omniglot_proto_maml
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
    """Proto-MAML on Omniglot."""

    network: nets.InnerLoopNetwork = nets.InnerLoopNetwork()
    method: methods.ProtoMAML = methods.ProtoMAML()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import proto_maml

    return proto_maml.make(
        options.told(config.method, facts),
        network=config.network.build(None, config.method.normalisation),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_proto_maml", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
