"""Start the last layer from the prototypes of new characters, and adapt (Proto-MAML).

python -m experiments.omniglot_proto_maml
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Differentiated):
    """Proto-MAML on Omniglot."""

    inner_lr: float = 0.01
    """Learning rate of the inner loop, on a mean loss. The last layer starts as large as the
    features are, so MAML's 0.4 breaks what it starts with."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_proto_maml", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import proto_maml

    return episodic.build_with_inner_loop(proto_maml, config, rate, features=True)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
