"""Meta-learn by the implicit gradient at the end of a regularised inner loop (iMAML).

python -m experiments.omniglot_imaml
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.InnerLoop):
    """iMAML on Omniglot."""

    inner_lr: float = 0.03
    """Learning rate of the inner loop, on a mean loss; with 0.1 it diverges after 200 steps, where
    the support loss curves more than its rate allows."""
    inner_steps: int = 16
    """Inner gradient steps in training."""
    eval_inner_steps: int = 16
    """Inner gradient steps in validation and test."""
    pull: float = 2.0
    """Weight of half the squared distance to the initialisation, in the inner loop."""
    cg_steps: int = 5
    """Steps of conjugate gradients."""
    damping: float = 10.0
    """Added to the weight of the pull in the system that they solve; 0 for the exact gradient."""
    learning_rate: float = 2e-3
    """Of the outer loop (Adam)."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_imaml", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import imaml

    return episodic.build_with_inner_loop(imaml, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
