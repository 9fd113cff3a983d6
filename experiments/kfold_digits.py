"""Choose the size of a network by k-fold cross-validation, and train it on everything.

python -m experiments.kfold_digits
python -m experiments.kfold_digits --folds 10 --hidden 16 64 256
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """The six steps: keep a test set, divide the rest, train K times, average, choose, refit."""

    hidden: tuple[int, ...] = (4, 8, 16, 32, 64, 128)
    """Units of the hidden layer to choose from."""
    folds: int = 5
    """Parts of the training images (K)."""
    epochs: int = 20
    """How often a training image is drawn, on average."""
    batch: int = 32
    """Images in a step."""
    learning_rate: float = 3e-3
    """Learning rate of Adam."""
    seed: int = 0
    """Of the folds, the parameters and the batches."""
    workdir: Path = Path("runs/kfold_digits")
    """Where the numbers and the plot go."""


def main(config: Config) -> None:
    """Runs the six steps; writes result.json and errors.png."""
    import numpy as np

    from jaxdl.data import folds, images
    from jaxdl.train import run
    from jaxdl.train.problem import Measured
    from jaxdl.train.report import Report
    from jaxdl.train.result import metric

    options.require_positive(config, "epochs", "batch", "learning_rate", "folds")
    if not config.hidden:
        raise ValueError("--hidden needs at least one number of units")
    train, test = images.digits().values()
    errors, metrics = np.zeros((len(config.hidden), config.folds)), {}
    divided = list(folds.k_fold(len(train["label"]), config.folds, config.seed))
    for own, hidden in zip(errors, config.hidden, strict=True):
        for fold, parts in enumerate(divided):
            learned, held_out = ({k: v[index] for k, v in train.items()} for index in parts)
            own[fold] = _error(config, hidden, learned, held_out)
            metrics[f"error/{hidden}/{fold}"] = metric(own[fold])
        mean, deviation = own.mean(), own.std(ddof=1)
        metrics[f"error/{hidden}"] = metric(mean, count=config.folds, deviation=deviation)
        print(
            f"{hidden} units: {100 * mean:.2f} ± {100 * deviation:.2f} % wrong, mean and standard "
            f"deviation of {config.folds} folds",
            flush=True,
        )
    best = int(errors.mean(1).argmin())
    refitted = _error(config, config.hidden[best], train, test)
    says = (
        f"{config.hidden[best]} units have the lowest error of {config.folds} folds, "
        f"{100 * errors[best].mean():.2f} %; trained on all {len(train['label'])} images, "
        f"{100 * refitted:.2f} % of {len(test['label'])} test images are wrong"
    )
    metrics |= {"chosen": metric(config.hidden[best]), "test error": metric(refitted)}
    run.finish(
        run.Run("kfold_digits", Report(config.workdir), options.of_the_run(config), config.seed),
        Measured(metrics, says, {"errors.png": lambda: _draw(config, errors, best, refitted)}),
        dataset="digits",
        protocol={"test": "the data set's own test part; folds of its training part"},
    )


def _error(config: Config, hidden: int, learned: Any, judged: Any) -> float:
    """Trains on some images; returns the share of others that is wrong."""
    import jax
    import optax

    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import MLP
    from jaxdl.train.step import compile_step

    optimizer = optax.adam(config.learning_rate)
    method = classifier.make(classifier.Config(), network=MLP((hidden,)), optimizer=optimizer)

    def sample(key, part):
        index = jax.random.randint(key, (config.batch,), 0, len(part["label"]))
        return {name: leaf[index] for name, leaf in part.items()}

    part = jax.device_put({**learned, "image": learned["image"] / 255.0})
    steps = max(config.epochs * len(learned["label"]) // config.batch, 1)
    step = compile_step(method.train_step, sample=sample, steps_per_call=steps)
    state, _ = step(method.init(jax.random.key(config.seed), {"image": part["image"][:1]}), part)
    logits = method.predict(state, {"image": judged["image"] / 255.0})["logits"]
    return float((logits.argmax(-1) != judged["label"]).mean())


def _draw(config: Config, errors: Any, best: int, refitted: float) -> Any:
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
