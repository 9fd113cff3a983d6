"""Meta-learn a last layer, and adapt the features alone to new characters (BOIL).

python -m experiments.omniglot_boil
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Differentiated):
    """BOIL on Omniglot."""

    inner_lr: float = 0.5
    """Learning rate of the inner loop, on a mean loss."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_boil", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import boil

    return episodic.build_with_inner_loop(boil, config, rate, features=True)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
