"""Few-shot regression of sine waves (Finn et al., 2017, section 5.1).

Shapes: T waves, S inner steps, P points of a picture.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.sinusoids import sample_sinusoid
from jaxdl.problems.configs.few_shot import Waves
from jaxdl.train import options
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.result import of_moments
from jaxdl.train.state import Method, TrainState

TEST_POINTS = 100


def load(config: Waves, *, tasks: int) -> Problem:
    """Says how waves are drawn and how a network that follows them is judged.

    Args:
      config: the options.
      tasks: waves of a training step.
    """
    options.require_positive(config, "shot", "tasks")

    def sample(key, data):
        del data
        keys = jax.random.split(key, tasks)
        return jax.vmap(lambda key: sample_sinusoid(key, config.shot, config.shot))(keys)

    def measure(method, seed):
        batch = waves(config, seed) | {"weight": jnp.ones(config.tasks)}
        evaluate = jax.jit(method.eval_step)
        return lambda state: evaluate(state, batch)

    def validate(method):
        found = measure(method, 1)
        last = f"squared_error/after_{method.protocol['eval_inner_steps']}_steps"
        return lambda state: {"loss": found(state)[last].mean}

    def test(method):
        found = measure(method, 2)

        def judge(state):
            metrics = {name: of_moments(moments) for name, moments in found(state).items()}
            return Measured(metrics, _says(metrics, method))

        return judge

    return Problem(
        dataset="sinusoids",
        config=config,
        facts={},
        data=(),
        sample=sample,
        size=tasks,
        unit="waves",
        validate=validate,
        test=test,
        protocol={"shot": config.shot, "queries": TEST_POINTS, "tasks": config.tasks},
    )


def waves(config: Waves, seed: int) -> dict[str, Any]:
    """Returns the validation waves (seed 1) or the test waves (seed 2)."""
    keys = jax.random.split(jax.random.key(seed), config.tasks)
    return jax.vmap(lambda key: sample_sinusoid(key, config.shot, TEST_POINTS))(keys)


def _says(metrics: Mapping[str, Any], method: Method) -> str:
    steps = sorted({1, method.protocol["eval_inner_steps"]})
    return ", ".join(
        "{mean:.3f} ± {ci95:.3f}".format(**metrics[f"squared_error/after_{step}_steps"])
        + f" after {step} step{'s' if step > 1 else ''}"
        for step in steps
    )


def picture(
    config: Waves,
    learned: Mapping[str, tuple[Method, TrainState]],
    metrics: Mapping[str, Mapping[str, Any]],
) -> Any:
    """Draws how each network fits one new wave, and the error by inner steps.

    Args:
      config: the options.
      learned: methods with their states, by the name of the network.
      metrics: of `load(...).test`, by the same.
    """
    from matplotlib.figure import Figure

    task = jax.tree.map(lambda leaf: leaf[:1], waves(config, 2))
    line = np.linspace(-5, 5, 200)[:, None]
    truth = np.asarray(task["amplitude"] * np.sin(line - task["phase"]))[:, 0]
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    panels = figure.subplots(1, len(learned) + 1)
    steps: Sequence[int] = ()
    for axes, (name, (method, state)) in zip(panels, learned.items(), strict=False):
        steps = range(method.protocol["eval_inner_steps"] + 1)
        asked = {"support": task["support"], "query": {"x": jnp.asarray(line)[None]}}
        predicted = jax.jit(method.predict)(state, asked)["prediction"][0, ..., 0]
        axes.plot(line, truth, "k", linewidth=1, label="wave")
        axes.plot(task["support"]["x"][0], task["support"]["y"][0], "k^", label="points")
        for step, style in ((0, ":"), (1, "--"), (steps[-1], "-")):
            axes.plot(line, predicted[step], style, label=f"after {step} steps")
        axes.set(title=name, xlabel="x", ylabel="y")
        axes.legend(fontsize=7)
        found = [metrics[name][f"squared_error/after_{step}_steps"] for step in steps]
        panels[-1].errorbar(
            steps,
            [metric["mean"] for metric in found],
            [metric["ci95"] for metric in found],
            label=name,
            capsize=2,
        )
    panels[-1].set(
        title="new waves, 95 % intervals", xlabel="inner steps", ylabel="mean squared error", ylim=0
    )
    panels[-1].legend(fontsize=8)
    return figure
