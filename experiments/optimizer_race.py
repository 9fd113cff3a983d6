"""Let all optimizers learn the same task, and walk down Rosenbrock's valley.

python -m experiments.optimizer_race                    # scikit-learn's digits, minutes
python -m experiments.optimizer_race --optimizers sgd adam adabound

It is longer than others: a race is no run that is trained in a folder, and of no use elsewhere.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from jaxdl.problems.configs import classification as configs
from jaxdl.train import command, options

RATES = tuple(10 ** (exponent / 2) for exponent in range(-8, 2))
START = (-1.5, 2.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Each optimizer with the best of ten rates, on a perceptron of digits and on Rosenbrock's."""

    optimizers: tuple[configs.Optimizer, ...] = ()
    """Which take part; by default all."""
    hidden: int = 64
    """Units of the perceptron's hidden layer."""
    steps: int = 500
    """Training steps on the digits."""
    batch: int = 64
    """Images in a step."""
    seeds: int = 3
    """How many seeds of the parameters and the batches; the rate is chosen on validation images."""
    rosenbrock_steps: int = 2000
    """Steps in Rosenbrock's valley."""
    workdir: Path = Path("runs/optimizer_race")
    """Where the table and the plot go."""


def main(config: Config) -> None:
    """Runs the race; writes result.json, table.md and race.png."""
    import jax
    import numpy as np

    from jaxdl.train import run
    from jaxdl.train.optimizers import OPTIMIZERS
    from jaxdl.train.problem import Measured
    from jaxdl.train.report import Report
    from jaxdl.train.result import metric

    positive = ("hidden", "steps", "batch", "seeds", "rosenbrock_steps")
    options.require_positive(config, *positive)
    report = Report(config.workdir)
    task = _digits(config)
    found: dict[str, dict[str, Any]] = {}
    metrics: dict[str, Any] = {}
    for name in config.optimizers or OPTIMIZERS:
        losses, valid, test = (np.asarray(leaf, np.float64) for leaf in task(name))
        # A rate at which some seed diverged has no validation accuracy.
        score = np.where(np.isfinite(losses).all((1, 2)), valid.mean(1), -1)
        best = int(score.argmax())
        path = np.asarray(jax.jit(_valley, static_argnums=(0, 1))(name, config.rosenbrock_steps))
        distance = np.hypot(*(path[:, -1] - 1).T)
        nearest = int(np.where(np.isfinite(distance), distance, np.inf).argmin())
        row = {
            "rate": RATES[best],
            "test accuracy": test[best].mean(),
            "validation accuracy": valid[best].mean(),
            "valley rate": RATES[nearest],
            "valley distance": float(distance[nearest]),
        }
        deviation = test[best].std(ddof=1) if config.seeds > 1 else 0.0
        metrics |= {f"{name}/{key}": metric(value) for key, value in row.items()}
        metrics[f"{name}/test accuracy"] |= {"count": config.seeds, "deviation": deviation}
        found[name] = row | {
            "deviation": deviation,
            "training loss": losses[best].mean(0),
            "valley path": path[nearest],
        }
        print(
            f"{name}: {_accuracy(found[name])} at {row['rate']:.2g}; "
            f"{row['valley distance']:.2g} from the valley's end",
            flush=True,
        )
    report.write_text("table.md", _table(config, found))
    first = max(found, key=lambda name: found[name]["test accuracy"])
    says = (
        f"{first} is first of {len(found)} with {_accuracy(found[first])} (standard deviation of "
        f"{config.seeds} seeds, 360 test digits, {config.steps} steps)"
    )
    run.finish(
        run.Run("optimizer_race", report, options.of_the_run(config), seed=0),
        Measured(metrics, says, {"race.png": lambda: _draw(found)}),
        dataset="digits",
        protocol={"test": "rate of the highest mean validation accuracy; test at the last step"},
    )


def _accuracy(row: dict[str, Any]) -> str:
    return f"{100 * row['test accuracy']:.2f} ± {100 * row['deviation']:.2f} %"


def _digits(config: Config) -> Any:
    """Returns `name -> (losses [rates, seeds, steps], accuracies of validation and of test)`."""
    import jax
    import jax.numpy as jnp

    from jaxdl.data import folds, images
    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import MLP
    from jaxdl.train.optimizers import build
    from jaxdl.train.state import step_key

    train, test = (
        {"image": jnp.asarray(part["image"] / 255.0), "label": jnp.asarray(part["label"])}
        for part in images.digits().values()
    )
    learned, held_out = folds.holdout(len(train["label"]), 0.2, 0)
    learned, valid = (
        {k: leaf[index] for k, leaf in train.items()} for index in (learned, held_out)
    )

    def one(name, rate, seed):
        network, optimizer = MLP((config.hidden,)), build(name, rate)
        method = classifier.make(classifier.Config(), network=network, optimizer=optimizer)

        def step(state, _):
            index = jax.random.randint(
                step_key(state, 1), (config.batch,), 0, len(learned["label"])
            )
            state, metrics = method.train_step(state, {k: v[index] for k, v in learned.items()})
            return state, metrics["loss"]

        state = method.init(jax.random.key(seed), {"image": learned["image"][:1]})
        state, losses = jax.lax.scan(step, state, length=config.steps)

        def accuracy(part):
            return (method.predict(state, part)["logits"].argmax(-1) == part["label"]).mean()

        return losses, accuracy(valid), accuracy(test)

    def race(name):
        over_seeds = jax.vmap(lambda rate, seed: one(name, rate, seed), (None, 0))
        over_rates = jax.vmap(over_seeds, (0, None))
        return over_rates(jnp.array(RATES), jnp.arange(config.seeds))

    return jax.jit(race, static_argnums=0)


def _valley(name: str, steps: int) -> Any:
    """Returns the ways from `START` with each rate, [rates, steps + 1, 2]."""
    import jax
    import jax.numpy as jnp

    from jaxdl.ops.landscapes import rosenbrock
    from jaxdl.train.optimizers import build, descend

    def one(rate):
        return descend(rosenbrock, jnp.array(START), build(name, rate), steps)

    return jax.vmap(one)(jnp.array(RATES))


def _table(config: Config, found: Any) -> str:
    lines = [
        f"Test accuracy on 360 of scikit-learn's digits after {config.steps} steps of "
        f"{config.batch} images, mean ± standard deviation of {config.seeds} seeds, with the rate "
        f"that is best on validation images; distance from Rosenbrock's minimum after "
        f"{config.rosenbrock_steps} steps, with the rate that is best there.",
        "",
        "| optimizer | rate | test accuracy, % | last training loss | rate | distance |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in sorted(found.items(), key=lambda item: -item[1]["test accuracy"]):
        lines.append(
            f"| {name} | {row['rate']:.2g} | {100 * row['test accuracy']:.2f} ± "
            f"{100 * row['deviation']:.2f} | {row['training loss'][-20:].mean():.3f} | "
            f"{row['valley rate']:.2g} | {row['valley distance']:.2g} |"
        )
    return "\n".join(lines) + "\n"


def _draw(found: Any) -> Any:
    import numpy as np
    from matplotlib.figure import Figure

    from jaxdl.ops.landscapes import rosenbrock

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
    right.contour(x, y, np.log10(rosenbrock((x, y)) + 1e-3), 15, colors="lightgrey")
    for number, (name, row) in enumerate(found.items()):
        style = {"color": f"C{number % 10}", "linestyle": "-" if number < 10 else "--"}
        smooth = np.convolve(row["training loss"], np.ones(20) / 20, "valid")
        left.plot(smooth, label=name, linewidth=1, **style)
        right.plot(*row["valley path"].T, linewidth=1, label=name, **style)
    left.set(yscale="log", xlabel="step", ylabel="training loss, mean of 20 steps")
    right.plot(1, 1, "k*")
    right.set(xlim=(-2, 2), ylim=(-1, 3), title="Rosenbrock")
    left.legend(fontsize=7, ncols=2)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
