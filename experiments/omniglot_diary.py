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
from pathlib import Path
from typing import Any, Literal

from experiments import episodic, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """A classifier without adaptation stays at chance; the same data with it does not."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """Characters to learn from, see `experiments.omniglot_maml`."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default in runs/."""
    seed: int = 0
    """Of the parameters and of the training episodes."""
    steps: int = 200
    """Outer steps of each learner."""
    meta_batch: int = 32
    """Episodes per step."""
    learning_rate: float = 3e-3
    """Of the outer loop (Adam, cosine decay)."""
    fixed_episodes: int = 26
    """Episodes that `memorised` sees."""
    episodes: int = 400
    """Test episodes at the end; a quarter of them after every tenth of the run."""


LEARNERS = ("shared", "memorised", "adapted")


def main(config: Config) -> None:
    """Trains the three learners, one after the other, and draws their curves."""
    import jax
    import optax
    from jaxdl.train.training import train

    from jaxdl.data import characters, episodes
    from jaxdl.data.protocol import Protocol, split_classes
    from jaxdl.methods.fewshot import maml
    from jaxdl.train import result
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report
    from jaxdl.train.step import data_mesh

    command.require_positive(config, "steps", "meta_batch", "fixed_episodes", "episodes")
    dataset, data = characters.load(config.dataset, data_dir=config.data_dir)
    options = episodic_options.of_the_run(dataclasses.replace(config, dataset=dataset))
    report = Report(config.workdir or Path(f"runs/omniglot_diary-{dataset}-seed{config.seed}"))
    report.check_config(options)
    splits = split_classes(data, "random")
    parts = {part: jax.device_put((splits[part], None)) for part in ("train", "test")}
    final, curves, digests = {}, {}, {}
    for learner in LEARNERS:
        inner_steps = 1 if learner == "adapted" else 0
        protocol = Protocol(
            dataset=dataset,
            normalisation="transductive",
            shot=5,
            queries=5,
            eval_queries=5,
            inner_steps=inner_steps,
            eval_inner_steps=inner_steps,
            episodes=config.episodes,
        )
        method = maml.make(
            command.pick(maml.Config, protocol),
            optimizer=optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps)),
        )

        def sample(key, part, learner=learner, spec=protocol.train_spec):
            keys = jax.random.split(key, config.meta_batch)
            if learner == "memorised":
                which = jax.random.randint(key, keys.shape, 0, config.fixed_episodes)
                keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(3), which)
            return jax.vmap(episodes.sample_episode, (0, None, None))(keys, part[0], spec)

        evaluate, _ = episodic.evaluation(
            method.eval_step, protocol, data_mesh(batch=config.meta_batch)
        )

        def accuracy(state, count, evaluate=evaluate):
            measured = evaluate(state, parts["test"], jax.random.key(2), count)
            return measured["accuracy/transductive"].at(-1)

        part = Report(report.workdir / learner)
        every = max(1, config.steps // 10)
        print(f"{learner}:")
        state = train(
            method,
            sample,
            parts["train"],
            batch=config.meta_batch,
            unit="tasks",
            seed=config.seed,
            steps=config.steps - config.steps % every,
            steps_per_call=every,
            evaluate=lambda state, a=accuracy: {
                "accuracy": a(state, max(1, config.episodes // 4)).mean
            },
            eval_every=every,
            log_every=every,
            report=part,
            metadata={"config": options, "protocol": dataclasses.asdict(protocol)},
        )
        final[learner] = accuracy(state, config.episodes)
        curves[learner] = part.rows()
        digests[learner] = digest(state.params)
    report.save_figure(draw(curves), "curves.png")
    result.write(
        report,
        experiment="omniglot_diary",
        dataset=dataset,
        protocol=dataclasses.asdict(protocol),
        metrics={f"accuracy/{learner}": final[learner] for learner in LEARNERS},
        seed=config.seed,
        steps=config.steps,
        params_sha256=digests["adapted"],
        config=options,
    )
    shown = ", ".join(
        f"{learner} {100 * final[learner].mean:.1f} ± {100 * final[learner].ci95:.1f} %"
        for learner in LEARNERS
    )
    print(
        f"omniglot_diary, new characters, transductive: {shown} ({protocol}); see {report.workdir}"
    )


def draw(curves: dict[str, list[dict[str, Any]]]) -> Any:
    """Draws the accuracy of each learner on its training episodes and on new characters."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for learner, colour in zip(LEARNERS, ("tab:red", "tab:orange", "tab:green"), strict=True):
        for split, style, where in (
            ("train", "--", "its own episodes"),
            ("valid", "-", "new ones"),
        ):
            points = [
                (row["step"], row["accuracy"]) for row in curves[learner] if row["split"] == split
            ]
            axes.plot(*zip(*points, strict=True), style, color=colour, label=f"{learner}, {where}")
    axes.axhline(0.2, color="grey", linewidth=0.8, label="chance")
    axes.set(xlabel="step", ylabel="accuracy", ylim=(0, 1), title="5-way 5-shot")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
