"""What classifiers of raw pixels, which learn nothing beforehand, make of new characters.

python -m experiments.omniglot_baselines
"""

import dataclasses
import sys
from pathlib import Path

from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Processes):
    """Nearest neighbour, modified Hausdorff distance and linear classifier on pixels."""

    workdir: Path | None = None
    """Where the results go; by default a folder of runs/ named by the data set, way and shot."""
    problem: configs.Characters = configs.Characters()


def main(config: Config) -> None:
    """Tests the classifiers, all on the same episodes."""
    import jax
    import numpy as np

    from jaxdl.data import pictures
    from jaxdl.methods.fewshot import pixels
    from jaxdl.methods.fewshot.learner import accuracy
    from jaxdl.ops.metrics import Moments
    from jaxdl.problems import episodes
    from jaxdl.train import result, run
    from jaxdl.train.problem import Measured
    from jaxdl.train.step import data_mesh, map_examples

    dataset, parts = episodes.read(config.problem)
    problem = dataclasses.replace(config.problem, dataset=dataset)
    protocol = episodes.protocol(problem, dataset)
    parts = parts.check(protocol, trains=False)
    classifiers = {
        "nearest neighbour": pixels.nearest_neighbour,
        "modified Hausdorff": pixels.hausdorff,
        "linear": pixels.linear,
    }

    def predict(name, task):
        return classifiers[name](task["support"], task["query"]["image"], problem.way)

    def of_task(_, task):
        label = task["query"]["label"]
        return {f"accuracy/{name}": accuracy(predict(name, task), label) for name in classifiers}

    def eval_step(_, batch):
        tasks = {part: batch[part] for part in ("support", "query")}
        measured = map_examples(of_task, microbatch=1)((), tasks)
        return {name: Moments.of(values, batch["weight"]) for name, values in measured.items()}

    folder = f"omniglot_baselines-{dataset}-{problem.way}w{problem.shot}s"
    opened = run.open(
        "omniglot_baselines", dataclasses.replace(config, problem=problem), Path("runs") / folder
    )
    evaluate, draw = episodes.evaluate(eval_step, protocol, data_mesh(), at_once=8)
    key = jax.random.key(episodes.TEST_KEY)
    measured = evaluate((), parts["test"], key, problem.episodes)
    metrics = {name: result.of_moments(moments) for name, moments in measured.items()}

    def figure():
        episode = jax.jit(draw)(key, parts["test"])
        predicted = {name: np.argmax(predict(name, episode), -1) for name in classifiers}
        return pictures.episode_figure(episode, predicted)

    shown = ", ".join(
        f"{name} {result.percent(metrics[f'accuracy/{name}'])} %" for name in classifiers
    )
    run.finish(
        opened,
        Measured(metrics, f"{shown} ({protocol})", {"episode.png": figure}),
        dataset=dataset,
        protocol=dataclasses.asdict(protocol),
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
