"""Learn what a 3 is without ever seeing one, from a teacher (Hinton et al., 2015, section 3).

python -m experiments.mnist_distill_omitted_3                    # scikit-learn's digits, a minute
python -m experiments.mnist_distill_omitted_3 --preset mnist     # the paper's networks
"""

import dataclasses
import sys

from experiments import distillation, mnist_distill
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(mnist_distill.Config):
    """As mnist_distill, but the student's images, and theirs alone, lack a class."""

    omit: tuple[int, ...] = (3,)
    """Classes that the student never sees."""
    hard: float = 0.0
    """Share of the cross-entropy with the labels, which have no 3 either."""


def main(config: Config) -> None:
    """Runs the experiment."""
    distillation.run("mnist_distill_omitted_3", config)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, mnist_distill.PRESETS))
