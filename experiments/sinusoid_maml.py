"""Learn to fit a sine wave from ten points and a few gradient steps (Finn et al., 2017, figure 2).

    python -m experiments.sinusoid_maml

Two networks see the same waves: one meta-learned (MAML with one inner step), one trained on all
waves together. Both then take gradient steps on ten points of new waves.
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxdl.methods.fewshot import configs as methods
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options

LEARNERS = ("MAML", "trained on all waves")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Run):
    """Few-shot regression of sine waves."""

    problem: configs.Waves = configs.Waves()
    steps: int = 15000
    """Outer steps of each network."""
    meta_batch: int = 25
    """Waves in a training step."""
    learning_rate: float = 1e-3
    """Learning rate of Adam in the outer loop."""
    method: methods.Regression = methods.Regression()


def make(config: Config, facts: Mapping[str, Any], part: str = LEARNERS[0]) -> Any:
    """Makes one of the two methods."""
    import optax

    from jaxdl.methods.fewshot import regression

    del facts
    settings = config.method
    if part != LEARNERS[0]:
        settings = dataclasses.replace(settings, inner_steps=0)
    return regression.make(settings, optimizer=optax.adam(config.learning_rate))


def load(config: Config, part: str = "") -> Any:
    """Makes the problem."""
    from jaxdl.problems import waves

    del part
    return waves.load(config.problem, tasks=config.meta_batch)


def opened(make: Any, state: Any, **about: Any) -> Any:
    """Opens one of the two, which predicts what `apply` says."""
    from jaxdl.train.trained import Trained

    return Trained(make, state, **about)


def main(config: Config) -> None:
    """Trains both networks and draws how they fit a new wave."""
    from jaxdl.problems import waves
    from jaxdl.train import result, run
    from jaxdl.train.problem import Measured

    options.require_positive(config, "steps", "meta_batch", "learning_rate")
    problem = load(config)
    whole = run.open("sinusoid_maml", config, Path(f"runs/sinusoid_maml-seed{config.seed}"))
    every = max(1, config.steps // 10)
    pace = options.Pace(config.steps - config.steps % every, every, every)
    learned, metrics, said = {}, {}, []
    for name in LEARNERS:
        print(f"{name}:")
        method = make(config, problem.facts, name)
        state = run.train(whole.part(name), method, problem, pace=pace)
        measured = problem.test(method)(state)
        learned[name], metrics[name] = (method, state), measured.metrics
        said.append(f"{name} {measured.says}")
    named = {
        f"squared_error/{name}/{metric.partition('/')[2]}": value
        for name, found in metrics.items()
        for metric, value in found.items()
    }
    says = (
        f"mean squared error on new waves from {config.problem.shot} points: {'; '.join(said)} "
        f"({config.problem.tasks} waves x {waves.TEST_POINTS} points)"
    )
    run.finish(
        whole,
        Measured(
            result.flat(named),
            says,
            {"fit.png": lambda: waves.picture(config.problem, learned, metrics)},
        ),
        dataset=problem.dataset,
        protocol=problem.protocol,
        state=learned[LEARNERS[0]][1],
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
