"""What labels that change with every episode do to a classifier: new episodes, or ever the same."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from jaxdl.data import episodes as sampling
from jaxdl.data.protocol import Protocol
from jaxdl.problems import episodes
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.result import of_moments
from jaxdl.train.state import Method
from jaxdl.train.step import data_mesh


def load(config: configs.Episodes, *, tasks: int, fixed: int) -> dict[str, Problem]:
    """Returns a problem for each learner: `shared` and `adapted`, whose episodes are new.

    And `memorised`, which sees the same few. All are judged by episodes of new characters, also
    during the training.

    Args:
      config: the options.
      tasks: episodes of a training step.
      fixed: episodes that `memorised` sees.
    """
    problem = episodes.load(config, tasks=tasks)
    config = dataclasses.replace(config, dataset=problem.config.dataset)
    own = episodes.protocol(config, problem.dataset)
    parts = episodes.read(config)[1].check(own, trains=True)

    def memorised(key, part):
        keys = jax.random.split(key, tasks)
        which = jax.random.randint(key, keys.shape, 0, fixed)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(3), which)
        return jax.vmap(sampling.sample_episode, (0, None, None))(keys, part[0], own.train_spec)

    def accuracy(method):
        measure, _ = episodes.evaluate(method.eval_step, own, data_mesh(batch=tasks))
        key = jax.random.key(episodes.TEST_KEY)
        return lambda state, count: measure(state, parts["test"], key, count)[
            "accuracy/transductive"
        ]

    def validate(method):
        measure = accuracy(method)
        return lambda state: {"accuracy": measure(state, max(1, config.episodes // 4)).mean}

    def test(method):
        measure = accuracy(method)
        return lambda state: Measured(
            {"accuracy": of_moments(measure(state, config.episodes))}, "accuracy"
        )

    problem = problem._replace(
        config=config,
        validate=validate,
        test=test,
        protocol=dataclasses.asdict(own),
    )
    return {
        "shared": problem,
        "memorised": problem._replace(sample=memorised),
        "adapted": problem,
    }


def protocol(problem: Problem, method: Method) -> Protocol:
    """Returns how a method is judged."""
    return episodes.protocol(problem.config, problem.dataset, method.protocol)


def picture(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    """Draws the accuracy of each learner on its training episodes and on new characters.

    Args:
      curves: rows of metrics.jsonl by learner.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for (learner, rows), colour in zip(
        curves.items(), ("tab:red", "tab:orange", "tab:green"), strict=True
    ):
        for split, style, where in (
            ("train", "--", "its own episodes"),
            ("valid", "-", "new ones"),
        ):
            points = [(row["step"], row["accuracy"]) for row in rows if row["split"] == split]
            axes.plot(*zip(*points, strict=True), style, color=colour, label=f"{learner}, {where}")
    axes.axhline(0.2, color="grey", linewidth=0.8, label="chance")
    axes.set(xlabel="step", ylabel="accuracy", ylim=(0, 1), title="5-way 5-shot")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure
