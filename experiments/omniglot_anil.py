"""Meta-learn features, and adapt the last layer alone to new characters (ANIL).

python -m experiments.omniglot_anil
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Differentiated):
    """ANIL on Omniglot."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_anil", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import anil

    return episodic.build_with_inner_loop(anil, config, rate, features=True)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
