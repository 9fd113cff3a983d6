"""Learn to say how alike two characters are (relation networks).

python -m experiments.omniglot_relation
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Metric):
    """Relation networks on Omniglot."""

    network: Literal["feature_maps"] = "feature_maps"
    """Four convolutions, of which two halve the image by max-pooling."""
    train_way: int = 5
    """Classes in a training episode."""
    queries: int = 10
    """Drawings of each class to be classified in a training episode."""
    meta_batch: int = 2
    """Episodes per step."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_relation", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import relation

    return episodic.build_metric(relation, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
