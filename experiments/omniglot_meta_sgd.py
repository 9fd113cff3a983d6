"""Meta-learn an initialisation and the rate of every parameter's inner step (Meta-SGD).

python -m experiments.omniglot_meta_sgd
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Differentiated):
    """Meta-SGD on Omniglot."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_meta_sgd", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import meta_sgd

    return episodic.build_with_inner_loop(meta_sgd, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
