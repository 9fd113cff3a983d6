"""MAML with what makes it train steadily: MAML++.

python -m experiments.omniglot_maml_plus_plus
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.InnerLoop):
    """MAML++ on Omniglot."""

    inner_lr: float = 0.1
    """Learning rate of the inner loop, on a mean loss, before training."""
    inner_steps: int = 5
    """Inner gradient steps in training."""
    multi_step_iterations: int = 500
    """Outer steps over which the loss moves from the mean over all inner steps to the last of them;
    0 for the last alone."""
    learned_rates: bool = True
    """Learn a rate for every array of parameters and every inner step."""
    normalisation_per_step: bool = True
    """Learn the scale and offset of the normalisation layers for every number of inner steps."""
    first_order_until: int = 0
    """Outer steps in which the inner gradient is treated as a constant."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_maml_plus_plus", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import maml_plus_plus

    return episodic.build_with_inner_loop(maml_plus_plus, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
