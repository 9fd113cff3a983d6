"""Train on all characters at once, and fit a new last layer to new ones (Baseline, Baseline++).

python -m experiments.omniglot_baseline
"""

import dataclasses
import sys
from typing import Any

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Metric):
    """Baseline and Baseline++ on Omniglot."""

    cosine: bool = False
    """Compare directions (Baseline++) instead of taking products (Baseline)."""
    scale: float = 10.0
    """Of the cosine similarities as logits."""
    fit_steps: int = 100
    """Gradient steps for the new last layer."""
    fit_lr: float = 0.1
    """Their learning rate."""


# Training classes of each split, and of the glyphs' random one; see `jaxdl.data.protocol`.
CLASSES = {"random": 1100, "vinyals": 1028, "lake": 883, "glyphs": 4277}


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_baseline", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    from jaxdl.methods.fewshot import baseline

    classes = CLASSES["glyphs" if config.dataset == "glyphs" else config.split]
    rotated = config.rotations != "none"
    return episodic.build_metric(baseline, config, rate, classes=classes, rotated=rotated)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic_options.stored))
