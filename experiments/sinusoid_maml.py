"""Learn to fit a sine wave from ten points and a few gradient steps (Finn et al., 2017, figure 2).

    python -m experiments.sinusoid_maml

Two networks see the same waves: one meta-learned (MAML with one inner step), one trained on all
waves together. Both then take gradient steps on ten points of new waves.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Few-shot regression of sine waves."""

    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default in runs/."""
    seed: int = 0
    """Of the parameters and of the training waves; the test waves are always the same."""
    shot: int = 10
    """Points of a wave to learn from, and as many to be predicted in training."""
    steps: int = 15000
    """Outer steps of each network."""
    meta_batch: int = 25
    """Waves per step."""
    learning_rate: float = 1e-3
    """Of the outer loop (Adam)."""
    inner_lr: float = 0.01
    """Learning rate of the inner loop."""
    eval_inner_steps: int = 10
    """Inner gradient steps at test."""
    tasks: int = 600
    """Test waves."""


LEARNERS = {"MAML": 1, "trained on all waves": 0}  # inner steps in training
TEST_POINTS = 100


def main(config: Config) -> None:
    """Trains both networks and draws how they fit a new wave."""
    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import optax
    from jaxdl.train.training import train

    from jaxdl.data.sinusoids import sample_sinusoid
    from jaxdl.methods.fewshot.inner import adapt
    from jaxdl.ops.metrics import Moments
    from jaxdl.train import result
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report
    from jaxdl.train.state import Method, TrainState
    from jaxdl.train.step import gradient_step, map_examples

    command.require_positive(
        config, "shot", "steps", "meta_batch", "learning_rate", "inner_lr", "tasks"
    )
    options = command.of_the_run(config)
    report = Report(config.workdir or Path(f"runs/sinusoid_maml-seed{config.seed}"))
    report.check_config(options)
    network = nn.Sequential([nn.Dense(40), nn.relu, nn.Dense(40), nn.relu, nn.Dense(1)])
    optimizer = optax.adam(config.learning_rate)

    def error(params, points):
        return jnp.mean((network.apply({"params": params}, points["x"]) - points["y"]) ** 2)

    def sample(key, data):
        del data
        keys = jax.random.split(key, config.meta_batch)
        return jax.vmap(lambda key: sample_sinusoid(key, config.shot, config.shot))(keys)

    def init(key, batch):
        params = network.init(key, batch["support"]["x"][0])["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), (), key)

    def train_step(inner_steps):
        def task_loss(params, task):
            adapted = adapt(error, params, task["support"], lr=config.inner_lr, steps=inner_steps)
            return error(adapted, task["query"])

        def loss(params, extra, key, batch):
            del key
            return map_examples(task_loss)(params, batch).mean(), (extra, {})

        return gradient_step(loss, optimizer)

    @jax.jit
    def follow(params, task):
        """Returns the predictions at the queries after 0 ... `eval_inner_steps` steps."""

        def step(params, _):
            predicted = network.apply({"params": params}, task["query"]["x"])
            return adapt(error, params, task["support"], lr=config.inner_lr, steps=1), predicted

        return jax.lax.scan(step, params, None, length=config.eval_inner_steps + 1)[1]

    def waves(seed):
        keys = jax.random.split(jax.random.key(seed), config.tasks)
        return jax.vmap(lambda key: sample_sinusoid(key, config.shot, TEST_POINTS))(keys)

    @jax.jit
    def errors(params, tasks):  # [tasks, steps + 1]
        predicted = jax.vmap(follow, (None, 0))(params, tasks)
        return ((predicted - tasks["query"]["y"][:, None]) ** 2).mean((2, 3))

    def eval_step(state, tasks):
        return {"loss": Moments.of(errors(state.params, tasks), jnp.ones(config.tasks))}

    validation, test = waves(1), waves(2)
    metrics, fits, digests = {}, {}, {}
    for learner, inner_steps in LEARNERS.items():
        part = Report(report.workdir / learner.replace(" ", "_"))
        every = max(1, config.steps // 10)
        print(f"{learner}:")
        state = train(
            Method(init, train_step(inner_steps), eval_step),
            sample,
            (),
            batch=config.meta_batch,
            unit="waves",
            seed=config.seed,
            steps=config.steps - config.steps % every,
            steps_per_call=every,
            evaluate=lambda state: {"loss": eval_step(state, validation)["loss"].at(-1).mean},
            eval_every=every,
            log_every=every,
            report=part,
            metadata={"config": options},
        )
        moments = eval_step(state, test)["loss"]
        for step in range(config.eval_inner_steps + 1):
            metrics[f"squared_error/{learner}/after_{step}_steps"] = moments.at(step)
        first = jax.tree.map(lambda leaf: leaf[0], test)
        line = jnp.linspace(-5, 5, 200)[:, None]
        fits[learner] = follow(state.params, first | {"query": {"x": line, "y": line}})[..., 0]
        digests[learner] = digest(state.params)
    report.save_figure(draw(first, line[:, 0], fits, metrics, config), "fit.png")
    written = result.write(
        report,
        experiment="sinusoid_maml",
        dataset="sinusoids",
        protocol={"shot": config.shot, "queries": TEST_POINTS, "tasks": config.tasks},
        metrics=metrics,
        seed=config.seed,
        steps=config.steps,
        params_sha256=digests["MAML"],
        config=options,
    )
    last = config.eval_inner_steps
    shown = "; ".join(
        f"{learner} "
        + ", ".join(
            "{:.3f} ± {:.3f} after {} step{}".format(
                *(
                    written["metrics"][f"squared_error/{learner}/after_{s}_steps"][part]
                    for part in ("mean", "ci95")
                ),
                s,
                "s" if s > 1 else "",
            )
            for s in sorted({1, last})
        )
        for learner in LEARNERS
    )
    print(
        f"sinusoid_maml, mean squared error on new waves from {config.shot} points: {shown} "
        f"({config.tasks} waves x {TEST_POINTS} points); see {report.workdir}"
    )


def draw(
    task: Any, line: Any, fits: dict[str, Any], metrics: dict[str, Any], config: Config
) -> Any:
    """Draws how each network fits one new wave, and the error by inner steps."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), layout="constrained")
    panels = figure.subplots(1, len(fits) + 1)
    truth = task["amplitude"] * np.sin(np.asarray(line) - task["phase"])
    last = config.eval_inner_steps
    for axes, (learner, predicted) in zip(panels, fits.items(), strict=False):
        axes.plot(line, truth, "k", linewidth=1, label="wave")
        axes.plot(task["support"]["x"], task["support"]["y"], "k^", label="points")
        for step, style in ((0, ":"), (1, "--"), (last, "-")):
            axes.plot(line, predicted[step], style, label=f"after {step} steps")
        axes.set(title=learner, xlabel="x", ylabel="y")
        axes.legend(fontsize=7)
    steps = range(last + 1)
    for learner in fits:
        moments = [metrics[f"squared_error/{learner}/after_{step}_steps"] for step in steps]
        panels[-1].errorbar(
            steps,
            [float(m.mean) for m in moments],
            [float(m.ci95) for m in moments],
            label=learner,
            capsize=2,
        )
    panels[-1].set(
        title="new waves, 95 % intervals", xlabel="inner steps", ylabel="mean squared error", ylim=0
    )
    panels[-1].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
