"""Let all optimizers learn the same task, and walk down Rosenbrock's valley.

python -m experiments.optimizer_race                    # scikit-learn's digits, minutes
python -m experiments.optimizer_race --optimizers sgd adam adabound
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from experiments import classification
from jaxdl.train import command

RATES = tuple(10 ** (exponent / 2) for exponent in range(-8, 2))
START = (-1.5, 2.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Each optimizer with the best of ten rates, on a perceptron of digits and on Rosenbrock's."""

    optimizers: tuple[classification.Optimizer, ...] = ()
    """Which take part; by default all."""
    hidden: int = 64
    """Units of the perceptron's hidden layer."""
    steps: int = 500
    """Training steps on the digits."""
    batch: int = 64
    """Images in a step."""
    seeds: int = 3
    """Of the parameters and the batches; the rate is chosen on validation images."""
    rosenbrock_steps: int = 2000
    """Steps in the valley."""
    workdir: Path = Path("runs/optimizer_race")
    """Where the table and the plot go."""


def main(config: Config) -> None:
    """Runs the race; writes result.json, table.md and race.png."""
    import jax
    import numpy as np

    from jaxdl.train.optimizers import OPTIMIZERS
    from jaxdl.train.report import Report

    command.require_positive(config, "hidden", "steps", "batch", "seeds", "rosenbrock_steps")
    report = Report(config.workdir)
    task = _digits(config)
    found: dict[str, dict[str, Any]] = {}
    for name in config.optimizers or OPTIMIZERS:
        losses, valid, test = (np.asarray(leaf, np.float64) for leaf in task(name))
        # A rate at which some seed diverged has no validation accuracy.
        score = np.where(np.isfinite(losses).all((1, 2)), valid.mean(1), -1)
        best = int(score.argmax())
        path = np.asarray(jax.jit(_valley, static_argnums=(0, 1))(name, config.rosenbrock_steps))
        distance = np.hypot(*(path[:, -1] - 1).T)
        nearest = int(np.where(np.isfinite(distance), distance, np.inf).argmin())
        found[name] = {
            "rate": RATES[best],
            "test accuracy": test[best].mean(),
            "deviation": test[best].std(ddof=1) if config.seeds > 1 else 0.0,
            "validation accuracy": valid[best].mean(),
            "training loss": losses[best].mean(0),
            "valley rate": RATES[nearest],
            "valley distance": float(distance[nearest]),
            "valley path": path[nearest],
        }
        row = found[name]
        print(
            f"{name}: {100 * row['test accuracy']:.2f} ± {100 * row['deviation']:.2f} % at "
            f"{row['rate']:.2g}; {row['valley distance']:.2g} from the valley's end",
            flush=True,
        )
    report.write_text("table.md", _table(config, found))
    report.save_figure(_draw(found), "race.png")
    report.write_json(
        "result.json",
        {
            "experiment": "optimizer_race",
            "dataset": "digits",
            "config": dataclasses.asdict(config) | {"workdir": str(config.workdir)},
            "protocol": "rate of the highest mean validation accuracy; test at the last step",
            "optimizers": {
                name: {k: v for k, v in row.items() if not isinstance(v, np.ndarray)}
                for name, row in found.items()
            },
        },
    )
    first = max(found, key=lambda name: found[name]["test accuracy"])
    row = found[first]
    print(
        f"optimizer_race: {first} is first of {len(found)} with "
        f"{100 * row['test accuracy']:.2f} ± {100 * row['deviation']:.2f} % (standard deviation "
        f"of {config.seeds} seeds, 360 test digits, {config.steps} steps); see {config.workdir}"
    )


def _digits(config):
    """Returns `name -> (losses [rates, seeds, steps], accuracies of validation and of test)`."""
    import jax
    import jax.numpy as jnp

    from jaxdl.data import folds, images
    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import MLP
    from jaxdl.train.optimizers import build
    from jaxdl.train.state import step_key

    data = images.digits()
    learned, held_out = folds.holdout(len(data["train"]["label"]), 0.2, 0)
    every, label = data["train"]["image"] / 255.0, data["train"]["label"]
    parts = {"train": learned, "valid": held_out}
    parts = {name: (jnp.asarray(every[i]), jnp.asarray(label[i])) for name, i in parts.items()}
    parts["test"] = (jnp.asarray(data["test"]["image"] / 255.0), jnp.asarray(data["test"]["label"]))
    settings = classifier.Config()
    network = MLP((config.hidden,))

    def one(name, rate, seed):
        method = classifier.make(settings, network=network, optimizer=build(name, rate))

        def step(state, _):
            shown, label = parts["train"]
            index = jax.random.randint(step_key(state, 1), (config.batch,), 0, len(label))
            state, metrics = method.train_step(
                state, {"image": shown[index], "label": label[index]}
            )
            return state, metrics["loss"]

        state = method.init(jax.random.key(seed), {"image": parts["train"][0][:1]})
        state, losses = jax.lax.scan(step, state, length=config.steps)

        def accuracy(part):
            shown, label = parts[part]
            found = classifier.predict(settings, network, state, shown).argmax(-1)
            return (found == label).mean()

        return losses, accuracy("valid"), accuracy("test")

    def race(name):
        over_seeds = jax.vmap(lambda rate, seed: one(name, rate, seed), (None, 0))
        over_rates = jax.vmap(over_seeds, (0, None))
        return over_rates(jnp.array(RATES), jnp.arange(config.seeds))

    return jax.jit(race, static_argnums=0)


def _valley(name, steps):
    """Returns the ways from `START` with each rate, [rates, steps + 1, 2]."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl.train.optimizers import build

    start = jnp.array(START)

    def one(rate):
        optimizer = build(name, rate)

        def step(carry, _):
            place, state = carry
            change, state = optimizer.update(jax.grad(rosenbrock)(place), state, place)
            place = optax.apply_updates(place, change)
            return (place, state), place

        _, path = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
        return jnp.concatenate([start[None], path])

    return jax.vmap(one)(jnp.array(RATES))


def rosenbrock(place: Any) -> Any:
    """Returns (1 - x)^2 + 100 (y - x^2)^2 of a place [2]; its minimum is 0 at (1, 1)."""
    x, y = place
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2


def _table(config, found):
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


def _draw(found):
    import numpy as np
    from matplotlib.figure import Figure

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
