"""Learn to say how alike two characters are (relation networks).

python -m experiments.omniglot_relation
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Literal

from jaxdl.methods.fewshot import configs as methods
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.FewShot):
    """Relation networks on Omniglot."""

    problem: configs.Episodes = configs.Episodes(train_way=5, queries=10)
    training: configs.Comparing = configs.Comparing(meta_batch=2)
    network: Literal["feature_maps"] = "feature_maps"
    """Four convolutions, of which two halve the image by max-pooling."""
    method: methods.Relation = methods.Relation()


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    import optax

    from jaxdl.methods.fewshot import relation

    return relation.make(
        options.told(config.method, facts),
        optimizer=optax.adam(config.training.rate()),
    )


load, opened = configs.load_episodes, configs.open_classifier


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import episodes

    episodes.experiment("omniglot_relation", config, make)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=configs.stored))
