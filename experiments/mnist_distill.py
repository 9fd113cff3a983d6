"""Teach a small network with the soft targets of a large one (Hinton et al., 2015, section 3).

python -m experiments.mnist_distill                    # scikit-learn's digits, a minute
python -m experiments.mnist_distill --preset mnist     # the paper's networks and temperature
python -m experiments.mnist_distill --feature-loss hint    # and its features, asked in the step

Measured with the second on MNIST's own test part, last step, seed 0: mistakes of 10,000: teacher
89, student alone 133, taught 99 (Hinton et al.: 67, 146, 74).
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any, Literal

from jaxdl.methods.distill import configs as methods
from jaxdl.problems.configs import classification as configs
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.Teaching):
    """A teacher with dropout on moved images; a student with and without its soft targets."""

    preset: Literal["digits", "mnist"] = "digits"
    """Defaults of the other options."""
    method: methods.Distill = methods.Distill()


PRESETS = {
    "digits": Config(),
    "mnist": Config(
        problem=configs.Labelled(dataset="mnist", holdout=1 / 20),
        training=configs.Falling(epochs=40),
        teacher_hidden=(1200, 1200),
        student_hidden=(800, 800),
        method=methods.Distill(temperature=20.0),
    ),
}


def make(config: Config, facts: Mapping[str, Any], part: str = "") -> Any:
    """Makes the method of the student, or of `teacher` or `student alone`."""
    from jaxdl.methods.distill import distill
    from jaxdl.methods.supervised import classifier
    from jaxdl.problems import teaching

    return teaching.method(classifier, distill, config, facts, part)


load, opened = configs.load_teaching, configs.open_recognizer


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.methods.distill import distill
    from jaxdl.methods.supervised import classifier
    from jaxdl.problems import teaching

    teaching.experiment("mnist_distill", config, classifier, distill)


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
