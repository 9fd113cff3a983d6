"""Teach a small network with the soft targets of a large one (Hinton et al., 2015, section 3).

python -m experiments.mnist_distill                    # scikit-learn's digits, a minute
python -m experiments.mnist_distill --preset mnist     # the paper's networks and temperature
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import distillation
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(distillation.Config):
    """A teacher with dropout on moved images; a student with and without its soft targets."""

    preset: Literal["digits", "mnist"] = "digits"
    """Defaults of the other options."""


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "mnist": {
        **{"dataset": "mnist", "teacher_hidden": (1200, 1200), "student_hidden": (800, 800)},
        **{"teacher_epochs": 60, "epochs": 40, "temperature": 20.0},
    },
}


def main(config: Config) -> None:
    """Runs the experiment."""
    distillation.run("mnist_distill", config)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
