"""Learn embeddings whose neighbours tell new characters apart (matching networks).

python -m experiments.omniglot_matching

Measured with it on Omniglot, 5-way 1-shot, random 1,100/100/423 classes, rotated test classes,
1,000 episodes x 75 queries, seed 0: 97.73 +- 0.23 % inductive, 97.83 +- 0.23 % transductive.
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Metric):
    """Matching networks on Omniglot."""

    scale: float = 10.0
    """Of the cosine similarities in the softmax."""
    full_context: bool = False
    """Embed the support set and the queries with regard to one another (FCE)."""
    attention_steps: int = 5
    """Rounds of attention with full context."""


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_matching", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import matching

    return episodic.build_metric(matching, config, rate)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
