"""Meta-learn a last layer, and adapt the features alone to new characters (BOIL).

python -m experiments.omniglot_boil
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Differentiated):
    """BOIL on Omniglot."""

    inner_lr: float = 0.5
    """Learning rate of the inner loop, on a mean loss."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_boil", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import boil

    return episodic.build_with_inner_loop(boil, config, optax.adam(rate), features=True)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
