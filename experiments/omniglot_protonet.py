"""Learn features in which a character is near the mean of its drawings (ProtoNet).

python -m experiments.omniglot_protonet

Measured with it on Omniglot, 5-way 1-shot, random 1,100/100/423 classes, rotated test classes,
1,000 episodes x 75 queries, seed 0: 98.34 +- 0.19 % inductive, 98.07 +- 0.19 % transductive;
with --comparisons pairs, 98.92 +- 0.15 % and 98.69 +- 0.16 %.
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Metric):
    """Prototypical networks on Omniglot."""

    train_way: int = 60
    """Classes in a training episode."""
    comparisons: Literal["prototypes", "pairs"] = "prototypes"
    """What a training step compares: queries with prototypes, or every image with every other."""
    meta_batch: int = 2
    """Episodes per step."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_protonet", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import protonet

    return episodic.build_metric(protonet, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
