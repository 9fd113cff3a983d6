"""What classifiers of raw pixels, which learn nothing beforehand, make of new characters.

python -m experiments.omniglot_baselines
"""

import dataclasses
import math
import sys
from pathlib import Path

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Test):
    """Nearest neighbour, modified Hausdorff distance and linear classifier on pixels."""


def main(config: Config) -> None:
    """Tests the classifiers, all on the same episodes."""
    import jax
    import numpy as np

    from jaxdl.data import characters, episodes, pictures
    from jaxdl.data.protocol import Protocol, split_classes
    from jaxdl.methods.fewshot import pixels
    from jaxdl.methods.fewshot.learner import accuracy
    from jaxdl.ops.metrics import Moments
    from jaxdl.train.evaluation import compile_evaluation
    from jaxdl.train.report import Report
    from jaxdl.train.step import data_mesh, map_examples

    command.require_positive(config, "episodes")
    dataset, data = characters.load(config.dataset, data_dir=config.data_dir, resize=config.resize)
    config = dataclasses.replace(config, dataset=dataset)
    protocol = command.pick(Protocol, config)
    images, alphabet = (
        split_classes(data, config.split, config.split_seed, field)["test"]
        for field in ("image", "alphabet")
    )
    protocol.eval_spec.check(images, alphabet)
    part = jax.device_put((images, alphabet))
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

    mesh = data_mesh()

    def sample(key, part):
        images, alphabet = part
        return episodes.sample_episode(key, images, protocol.eval_spec, alphabet)

    folder = f"omniglot_baselines-{dataset}-{config.way}w{config.shot}s"
    report = Report(config.workdir or Path("runs") / folder)
    report.check_config(episodic.options_of(config))
    evaluate = compile_evaluation(
        eval_step, sample, per_call=mesh.size * math.ceil(8 / mesh.size), mesh=mesh
    )
    key = jax.random.key(2)  # the test episodes of every other experiment
    measured = evaluate((), part, key, config.episodes)
    result = report.write_result(
        experiment="omniglot_baselines",
        dataset=dataset,
        protocol=dataclasses.asdict(protocol),
        metrics=measured,
        seed=0,
        steps=0,
        params_sha256="",
    )
    episode = jax.jit(sample)(key, part)
    predicted = {name: np.argmax(predict(name, episode), -1) for name in classifiers}
    report.save_figure(pictures.episode_figure(episode, predicted), "episode.png")
    shown = ", ".join(
        "{} {:.2f} ± {:.2f} %".format(
            name, *(100 * result["metrics"][f"accuracy/{name}"][part] for part in ("mean", "ci95"))
        )
        for name in classifiers
    )
    print(f"omniglot_baselines: {shown} ({protocol}); see {report.workdir}")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
