"""What classifiers of raw pixels, which learn nothing beforehand, make of new characters.

python -m experiments.omniglot_baselines
"""

import dataclasses
import sys
from pathlib import Path

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic_options.Test):
    """Nearest neighbour, modified Hausdorff distance and linear classifier on pixels."""


def main(config: Config) -> None:
    """Tests the classifiers, all on the same episodes."""
    import jax
    import numpy as np

    from jaxdl.data import pictures
    from jaxdl.methods.fewshot import pixels
    from jaxdl.methods.fewshot.learner import accuracy
    from jaxdl.ops.metrics import Moments
    from jaxdl.train import result
    from jaxdl.train.report import Report
    from jaxdl.train.step import data_mesh, map_examples

    config, protocol, parts = episodic.load(config)
    classifiers = {
        "nearest neighbour": pixels.nearest_neighbour,
        "modified Hausdorff": pixels.hausdorff,
        "linear": pixels.linear,
    }

    def predict(name, task):
        return classifiers[name](task["support"], task["query"]["image"], config.way)

    def of_task(_, task):
        label = task["query"]["label"]
        return {f"accuracy/{name}": accuracy(predict(name, task), label) for name in classifiers}

    def eval_step(_, batch):
        tasks = {part: batch[part] for part in ("support", "query")}
        measured = map_examples(of_task, microbatch=1)((), tasks)
        return {name: Moments.of(values, batch["weight"]) for name, values in measured.items()}

    folder = f"omniglot_baselines-{config.dataset}-{config.way}w{config.shot}s"
    report = Report(config.workdir or Path("runs") / folder)
    report.check_config(episodic_options.of_the_run(config))
    evaluate, draw = episodic.evaluation(eval_step, protocol, data_mesh(), at_once=8)
    key = jax.random.key(2)  # the test episodes of every other experiment
    measured = evaluate((), parts["test"], key, config.episodes)
    written = result.write(
        report,
        experiment="omniglot_baselines",
        dataset=config.dataset,
        protocol=dataclasses.asdict(protocol),
        metrics=measured,
        seed=0,
        steps=0,
        params_sha256=None,
        config=episodic_options.of_the_run(config),
    )
    episode = jax.jit(draw)(key, parts["test"])
    predicted = {name: np.argmax(predict(name, episode), -1) for name in classifiers}
    report.save_figure(pictures.episode_figure(episode, predicted), "episode.png")
    shown = ", ".join(
        "{} {:.2f} ± {:.2f} %".format(
            name, *(100 * written["metrics"][f"accuracy/{name}"][part] for part in ("mean", "ci95"))
        )
        for name in classifiers
    )
    print(f"omniglot_baselines: {shown} ({protocol}); see {report.workdir}")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
