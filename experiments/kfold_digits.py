"""Choose the size of a network by k-fold cross-validation, and train it on everything.

python -m experiments.kfold_digits
python -m experiments.kfold_digits --folds 10 --hidden 16 64 256
"""

import dataclasses
import sys
from pathlib import Path

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The six steps: keep a test set, divide the rest, train K times, average, choose, refit."""

    hidden: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    """Units of the hidden layer to choose from."""
    folds: int = 5
    """K, parts of the training images."""
    epochs: int = 20
    """How often a training image is drawn, on average."""
    batch: int = 32
    """Images in a step."""
    learning_rate: float = 3e-3
    """Of Adam."""
    seed: int = 0
    """Of the folds, the parameters and the batches."""
    workdir: Path = Path("runs/kfold_digits")
    """Where the table and the plot go."""


def main(config: Config) -> None:
    """Runs the six steps; writes result.json and errors.png."""
    import numpy as np

    from jaxdl.data import folds, images
    from jaxdl.train.report import Report

    command.require_positive(config, "epochs", "batch", "learning_rate")
    if not config.hidden:
        raise ValueError("--hidden needs at least one number of units")
    command.require_positive(config, "folds")
    data = images.digits()
    train, test = ((part["image"] / 255.0, part["label"]) for part in data.values())
    errors = np.zeros((len(config.hidden), config.folds))
    for row, hidden in enumerate(config.hidden):
        for fold, (learned, held_out) in enumerate(
            folds.k_fold(len(train[1]), config.folds, config.seed)
        ):
            parts = [tuple(leaf[index] for leaf in train) for index in (learned, held_out)]
            errors[row, fold] = _error(config, hidden, *parts)
        mean, deviation = errors[row].mean(), errors[row].std(ddof=1)
        print(
            f"{hidden} units: {100 * mean:.2f} ± {100 * deviation:.2f} % wrong, mean and standard "
            f"deviation of {config.folds} folds",
            flush=True,
        )
    best = int(errors.mean(1).argmin())
    refitted = _error(config, config.hidden[best], train, test)
    report = Report(config.workdir)
    report.write_json(
        "result.json",
        {
            "experiment": "kfold_digits",
            "dataset": "digits",
            "config": dataclasses.asdict(config) | {"workdir": str(config.workdir)},
            "errors": dict(zip(map(str, config.hidden), errors.tolist(), strict=True)),
            "chosen": config.hidden[best],
            "test error": refitted,
        },
    )
    report.save_figure(_draw(config, errors, best, refitted), "errors.png")
    print(
        f"kfold_digits: {config.hidden[best]} units have the lowest error of {config.folds} folds, "
        f"{100 * errors[best].mean():.2f} %; trained on all {len(train[1])} images, "
        f"{100 * refitted:.2f} % of {len(test[1])} test images are wrong; see {config.workdir}"
    )


def _error(config, hidden, learned, judged):
    """Trains on some images; returns the share of others that is wrong."""
    import jax
    import optax

    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import MLP
    from jaxdl.train.step import compile_step

    settings, network = classifier.Config(), MLP((hidden,))
    optimizer = optax.adam(config.learning_rate)
    method = classifier.make(settings, network=network, optimizer=optimizer)

    def sample(key, part):
        index = jax.random.randint(key, (config.batch,), 0, len(part[1]))
        return {"image": part[0][index], "label": part[1][index]}

    part = jax.device_put(learned)
    steps = max(config.epochs * len(learned[1]) // config.batch, 1)
    step = compile_step(method.train_step, sample=sample, steps_per_call=steps)
    state, _ = step(method.init(jax.random.key(config.seed), {"image": part[0][:1]}), part)
    logits = classifier.predict(settings, network, state, judged[0])
    return float((logits.argmax(-1) != judged[1]).mean())


def _draw(config, errors, best, refitted):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.6), layout="constrained")
    axes = figure.subplots()
    percent = 100 * errors
    axes.plot(config.hidden, percent, ".", color="lightgrey")
    bars = percent.std(1, ddof=1)
    axes.errorbar(config.hidden, percent.mean(1), bars, capsize=3, label="held-out folds")
    axes.plot(config.hidden[best], 100 * refitted, "r*", label="test, trained on all")
    axes.set(xscale="log", xlabel="hidden units", ylabel="wrong, %")
    axes.set_xticks(config.hidden, [str(units) for units in config.hidden])
    axes.legend()
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
