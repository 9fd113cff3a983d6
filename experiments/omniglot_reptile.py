"""Learn to start near where training on five new characters would end (Reptile).

python -m experiments.omniglot_reptile
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Config):
    """Reptile on Omniglot."""

    train_shot: int = 9
    """Drawings of each class in a training episode; the queries are trained on too."""
    queries: int = 1
    """Further drawings of each class in a training episode."""
    inner_lr: float = 1e-3
    """Learning rate of the inner loop (Adam without momentum)."""
    inner_steps: int = 5
    """Inner gradient steps in training."""
    inner_batch: int = 10
    """Drawings in an inner step of training."""
    eval_inner_steps: int = 50
    """Inner gradient steps in validation and test."""
    eval_inner_batch: int = 5
    """Drawings in an inner step of validation and test."""
    normalisation: Literal["transductive"] = "transductive"
    """Statistics that normalise in training: those of the inner batch. Test accuracy is given with
    those of the queries and with those of the support set."""
    meta_batch: int = 6
    """Tasks per outer step."""
    learning_rate: float = 1.0
    """Share of the way to the inner loops' mean end that an outer step goes, at the start."""
    schedule: Literal["cosine", "linear", "constant"] = "linear"
    """How that share falls over all the steps."""
    steps: int = 12000
    """Outer steps."""
    eval_every: int = 2000
    """Outer steps between validations, each followed by a checkpoint."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_reptile", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import reptile

    settings = command.pick(reptile.Config, config)
    return episodic.Built(
        method=reptile.make(settings, optimizer=optax.sgd(rate)),
        learner=reptile.learner(settings),
        headline="transductive",
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
