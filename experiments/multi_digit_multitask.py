"""Read two digits that lie over one another: one network for both, one for each, or in between.

python -m experiments.multi_digit_multitask                    # scikit-learn's digits, minutes
python -m experiments.multi_digit_multitask --preset mnist
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from experiments import classification, classification_pictures, image_options
from experiments import classification_training as training
from jaxdl.train import command

TASKS = ("above left", "below right")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """Five networks that differ in what the two tasks share; the canvases are made in the step."""

    preset: Literal["digits", "mnist"] = "digits"
    """Defaults of the other options."""
    size: int = 36
    """Side of the canvas, in pixels, on which images of 28 lie."""
    shift: int = 4
    """Largest move of a digit from its corner, in pixels."""
    channels: tuple[int, int] = (16, 32)
    """Of the two convolutions of a trunk."""
    features: int = 64
    """Units that a trunk ends with."""
    epochs: int = 60
    """How often a training image is drawn as the first of a canvas, on average."""
    batch: int = 128
    """Canvases in a step."""
    learning_rate: float = 2e-3
    """Of Adam, at first; it falls to 0."""
    coupling: float = 0.01
    """Of the trunks of soft sharing, see jaxdl.methods.supervised.multitask."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation."""


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"size": 44},  # they fill their images
    "mnist": {"dataset": "mnist", "epochs": 6},
}


def main(config: Config) -> None:
    """Runs the experiment."""
    import jax
    import numpy as np
    import optax

    from jaxdl.data.two_digits import two_digits
    from jaxdl.methods.supervised import multitask
    from jaxdl.nn.classify import CNN
    from jaxdl.nn.multitask import HardSharing, SoftSharing
    from jaxdl.train.report import Report

    command.require_positive(config, "epochs", "batch", "learning_rate", "features", "coupling")
    if config.shift < 0 or config.size < 28 + config.shift:
        raise ValueError(
            f"--size must be at least 28 + --shift, got {config.size} and {config.shift}"
        )
    picked = {name: getattr(config, name) for name in ("dataset", "data_dir", "holdout")}
    dataset, parts = classification.load(classification.Config(**picked), "mnist")
    config = dataclasses.replace(config, dataset=dataset)
    options = command.of_the_run(config)
    report = Report(
        config.workdir or Path(f"runs/multi_digit_multitask-{dataset}-seed{config.seed}")
    )
    report.check_config(options)

    def draw(key, part, index):
        shown, other = two_digits(key, part["image"], index, size=config.size, shift=config.shift)
        label = jax.numpy.stack([part["label"][index], part["label"][other]], -1)
        return {"image": shown, "label": label}

    def canvases(number, name):
        part = dict(zip(("image", "label"), parts[name], strict=True))
        index = np.arange(len(part["label"]))
        made = jax.jit(draw)(jax.random.key(number), part, index)
        return np.asarray(made["image"]), np.asarray(made["label"])

    valid, (shown, label) = canvases(0, "valid"), canvases(1, "test")
    classes = (int(parts["train"][1].max()) + 1,) * len(TASKS)
    trunk = CNN(tuple((c,) for c in config.channels), (), config.features)
    hard, soft = HardSharing(trunk, classes), SoftSharing(trunk, classes)
    steps = config.epochs * training.epoch(len(parts["train"][1]), config.batch)

    def learn(name, network, **settings):
        settings = multitask.Config(**settings)
        print(f"{name}:")
        predict = training.predictor(
            lambda state, images: jax.numpy.stack(
                multitask.predict(settings, network, state, images), 1
            )
        )
        rate = optax.cosine_decay_schedule(config.learning_rate, steps)
        own = Report(report.workdir / name.replace(",", "").replace(" ", "_"))
        state = training.fit(
            multitask.make(settings, network=network, optimizer=optax.adam(rate)),
            dict(zip(("image", "label"), parts["train"], strict=True)),
            config,
            evaluate=training.validation(predict, valid),
            report=own,
            options=options | dataclasses.asdict(settings),
            draw=draw,
        )
        own.write_curves(chance=1 / classes[0])
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params["network"]))
        return predict(state, shown), parameters

    learned = {
        "separate": learn("separate", soft),
        "soft sharing": learn("soft sharing", soft, coupling=config.coupling),
        "hard sharing": learn("hard sharing", hard),
        "hard sharing, uncertainty": learn(
            "hard sharing, uncertainty", hard, weighting="uncertainty"
        ),
        "hard sharing, surgery": learn("hard sharing, surgery", hard, surgery=True),
    }
    measured = {
        name: _measure(found, label) | {"parameters": parameters}
        for name, (found, parameters) in learned.items()
    }
    report.write_json(
        "result.json",
        {
            "experiment": "multi_digit_multitask",
            "dataset": dataset,
            "protocol": "canvases of images of the data set's own test part, last step",
            "seed": config.seed,
            "metrics": measured,
        },
    )
    rights = {name: [row[task]["value"] for task in TASKS] for name, row in measured.items()}
    report.save_figure(classification_pictures.draw_recalls(rights, TASKS), "by_task.png")
    said = np.stack([found.argmax(-1) for found, _ in learned.values()])  # [networks, n, T]
    disputed = np.argsort((said == label).all(-1).mean(0), kind="stable")[:20]
    names = [[f"{a}{b}" for a, b in rows] for rows in said[:, disputed]]
    truth = [f"{a}{b}" for a, b in label[disputed]]
    sheet = classification_pictures.draw_votes(shown[disputed], np.array(names), truth)
    report.save_figure(sheet, "disputed.png")
    rows = ", ".join(f"{name} {100 * row['both']['value']:.2f} %" for name, row in measured.items())
    print(
        f"multi_digit_multitask: both digits right: {rows} (± "
        f"{100 * max(row['both']['ci95'] for row in measured.values()):.2f}, {len(label)} canvases "
        f"of {dataset}'s own test images, last step, seed {config.seed}); see {report.workdir}"
    )


def _measure(log_probability: Any, label: Any) -> dict[str, dict[str, float]]:
    """Returns the shares of each task's and of both answers that are right, with intervals."""
    right = log_probability.argmax(-1) == label
    shares = dict(zip(TASKS, right.mean(0), strict=True)) | {"both": right.all(-1).mean()}
    return {
        name: {
            "value": float(share),
            "ci95": float(1.96 * (share * (1 - share) / len(label)) ** 0.5),
        }
        for name, share in shares.items()
    }


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
