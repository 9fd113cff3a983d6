"""Learn features on which ridge regression tells new characters apart (R2-D2).

python -m experiments.omniglot_r2d2
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Metric):
    """R2-D2 on Omniglot."""

    penalty: float = 1.0
    """Of the ridge regression, before training; it is learned."""
    scale: float = 10.0
    """Of the regression's outputs as logits, before training; it is learned too."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_r2d2", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import r2d2

    return episodic.build_metric(r2d2, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
