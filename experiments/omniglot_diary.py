"""Why a classifier without adaptation stays at 0.2, and what adaptation changes.

    python -m experiments.omniglot_diary

Every episode gives the labels 0 to 4 to five new characters, so a label means nothing outside its
episode. Three learners see the same characters, 5-way 5-shot with 5 queries:

    shared     one classifier, trained on ever new episodes without an inner loop: at chance,
               0.2, for ever, whatever the batch size or the learning rate
    memorised  the same classifier on 26 episodes that come again and again: it learns them by
               heart, and is at chance on any other
    adapted    the same network with one inner gradient step on the support set (MAML)
"""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options

LEARNERS = ("shared", "memorised", "adapted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Run):
    """A classifier without adaptation stays at chance; the same data with it does not."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """Characters to learn from: Omniglot, or the embedded glyphs, which need no files; `auto` is
    Omniglot if it is prepared or can be downloaded, else glyphs."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    steps: int = 200
    """Outer steps of each learner."""
    meta_batch: int = 32
    """Episodes in a training step."""
    learning_rate: float = 3e-3
    """Learning rate of the outer loop (Adam, cosine decay)."""
    fixed_episodes: int = 26
    """Episodes that `memorised` sees."""
    episodes: int = 400
    """Test episodes at the end; a quarter of them after every tenth of the run."""


def make(config: Config, facts: Mapping[str, Any], part: str = LEARNERS[-1]) -> Any:
    """Makes the method of a learner."""
    import optax

    from jaxdl.methods.fewshot import maml

    inner_steps = 1 if part == "adapted" else 0
    settings = maml.Config(inner_steps=inner_steps, eval_inner_steps=inner_steps)
    return maml.make(
        options.told(settings, facts),
        optimizer=optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps)),
    )


def problems(config: Config) -> Any:
    """Makes the problem of each learner."""
    from jaxdl.problems import diary

    shape = configs.Episodes(shot=5, queries=5, eval_queries=5, episodes=config.episodes)
    shape = dataclasses.replace(shape, dataset=config.dataset, data_dir=config.data_dir)
    return diary.load(shape, tasks=config.meta_batch, fixed=config.fixed_episodes)


def load(config: Config, part: str = LEARNERS[-1]) -> Any:
    """Makes the problem of a learner."""
    return problems(config)[part]


opened = configs.open_classifier


def main(config: Config) -> None:
    """Trains the three learners, one after the other, and draws their curves."""
    from jaxdl.problems import diary
    from jaxdl.train import result, run
    from jaxdl.train.problem import Measured

    options.require_positive(config, "steps", "meta_batch", "fixed_episodes", "episodes")
    found = problems(config)
    dataset = found["shared"].dataset
    whole = run.open(
        "omniglot_diary",
        dataclasses.replace(config, dataset=dataset),
        Path(f"runs/omniglot_diary-{dataset}-seed{config.seed}"),
    )
    every = max(1, config.steps // 10)
    pace = options.Pace(config.steps // every * every, every, every)
    final, curves = {}, {}
    for learner in LEARNERS:
        print(f"{learner}:")
        method = make(config, found[learner].facts, learner)
        part = whole.part(learner)
        state = run.train(part, method, found[learner], pace=pace)
        final[f"accuracy/{learner}"] = found[learner].test(method)(state).metrics["accuracy"]
        curves[learner] = part.report.rows()
    protocol = diary.protocol(found["adapted"], method)
    shown = ", ".join(
        f"{learner} {result.percent(final[f'accuracy/{learner}'], 1)} %" for learner in LEARNERS
    )
    run.finish(
        whole,
        Measured(
            final,
            f"new characters, transductive: {shown} ({protocol})",
            {"curves.png": lambda: diary.picture(curves)},
        ),
        dataset=dataset,
        protocol=dataclasses.asdict(protocol),
        state=state,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
