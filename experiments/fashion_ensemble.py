"""Train several networks in one step, let them vote, and teach one network what they say together.

python -m experiments.fashion_ensemble                             # scikit-learn's digits, a minute
python -m experiments.fashion_ensemble --dataset fashion_mnist
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from experiments import classification, classification_pictures, distillation, image_options
from experiments import classification_training as training
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """A deep ensemble, its members, and one network that has learned from all of them."""

    members: int = 5
    """Networks, each with parameters and batches of its own."""
    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    channels: tuple[int, int] = (16, 32)
    """Of the two convolutions of each."""
    hidden: int = 64
    """Units of its hidden layer."""
    epochs: int = 15
    """How often a network draws a training image, on average."""
    student_epochs: int = 30
    """How often the one network does that learns from all."""
    batch: int = 128
    """Images of a network in a step."""
    learning_rate: float = 1e-3
    """Of Adam; that of the one network falls to 0."""
    temperature: float = 2.0
    """Of the soft targets of the one network."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation and for the weights of the votes."""


def main(config: Config) -> None:
    """Runs the experiment."""
    import jax.numpy as jnp
    import numpy as np
    import optax

    from jaxdl.methods.distill import distill
    from jaxdl.methods.ensemble import ensemble
    from jaxdl.nn.classify import CNN
    from jaxdl.ops import voting
    from jaxdl.train import result, result_older
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report

    command.require_positive(
        config, "epochs", "student_epochs", "batch", "learning_rate", "temperature", "hidden"
    )
    picked = {name: getattr(config, name) for name in ("dataset", "data_dir", "size", "holdout")}
    dataset, parts = classification.load(classification.Config(**picked), "fashion_mnist")
    config = dataclasses.replace(config, dataset=dataset)
    options = command.of_the_run(config)
    report = Report(config.workdir or Path(f"runs/fashion_ensemble-{dataset}-seed{config.seed}"))
    report.check_config(options)
    classes = int(parts["train"][1].max()) + 1
    network = CNN(tuple((c,) for c in config.channels), (config.hidden,), classes)
    settings = ensemble.Config(members=config.members, classes=classes)

    of_members = training.predictor(
        lambda state, images: jnp.moveaxis(ensemble.predict(settings, network, state, images), 0, 1)
    )

    def together(state, images):
        return np.log(np.exp(of_members(state, images)).mean(1))

    state = training.fit(
        ensemble.make(settings, network=network, optimizer=optax.adam(config.learning_rate)),
        dict(zip(("image", "label"), parts["train"], strict=True)),
        config,
        evaluate=training.validation(together, parts["valid"]),
        report=report,
        options=options,
        members=config.members,
        independent=True,
    )
    label = parts["test"][1]
    found = np.moveaxis(of_members(state, parts["test"][0]), 1, 0)  # [M, n, A]
    probability = jnp.exp(found)
    singles = [classification.measure(each, label)[0] for each in found]
    valid = of_members(state, parts["valid"][0]).argmax(-1) == parts["valid"][1][:, None]
    weights = voting.rank_weights(jnp.asarray(valid.mean(0)))
    votes = voting.majority(jnp.asarray(found.argmax(-1)), classes)

    teachers = [
        distill.teacher(network, ensemble.member(state, index)) for index in range(config.members)
    ]
    print("one network that learns from all:")
    alone, alone_state, _ = distillation.learn(
        distill.Config(temperature=config.temperature),
        (network, teachers),
        parts["train"],
        parts["valid"],
        dataclasses.replace(config, epochs=config.student_epochs),
        report=Report(report.workdir / "distilled"),
        cache=report.workdir / "teacher_logits",
        options=options,
    )
    averaged = {
        "ensemble": np.log(voting.average(probability)),
        "ensemble, rank averaging": np.log(voting.average(probability, weights)),
        "distilled into one": alone(alone_state, parts["test"][0]),
    }
    measured = {"mean of the members": _mean(singles)}
    for name, values in averaged.items():
        measured[name], _ = classification.measure(values, label)
    measured["ensemble, majority"] = {"accuracy": {"value": float((votes == label).mean())}}
    disagreement = np.asarray(voting.disagreement(jnp.asarray(found.argmax(-1))))
    result.write(
        report,
        experiment="fashion_ensemble",
        dataset=dataset,
        protocol={
            "train": f"{len(parts['train'][1])} images of the data set's own training part",
            "test": "the data set's own test part",
            "selection": "last step",
        },
        metrics=result_older.metrics(
            measured | {"disagreement": {"value": float(disagreement.mean())}}
        ),
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    report.write_text("table.md", _table(measured))
    report.write_curves(chance=1 / classes)
    shown = {"a member": np.exp(found[0])} | {k: np.exp(v) for k, v in averaged.items()}
    report.save_figure(classification_pictures.draw_reliability(shown, label), "reliability.png")
    disputed = np.argsort(-disagreement, kind="stable")[:20]
    sheet = classification_pictures.draw_votes(
        parts["test"][0][disputed], found.argmax(-1)[:, disputed], label[disputed]
    )
    report.save_figure(sheet, "disagreement.png")
    first, all_of_them, distilled = (
        measured[name] for name in ("mean of the members", "ensemble", "distilled into one")
    )
    print(
        f"fashion_ensemble: a member, the ensemble of {config.members}, one that learned from it: "
        + "; ".join(
            f"{title} "
            + ", ".join(
                f"{factor * row[name]['value']:.{digits}f}"
                for row in (first, all_of_them, distilled)
            )
            for title, name, factor, digits in (
                ("accuracy %", "accuracy", 100, 2),
                ("loss", "loss", 1, 4),
                ("calibration error %", "calibration_error", 100, 2),
            )
        )
        + f" ({dataset}, its own test part, last step, seed {config.seed}); see {report.workdir}"
    )


def _mean(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the means of what `classification.measure` found of several networks."""
    import numpy as np

    return {
        name: {"value": float(np.mean([row[name]["value"] for row in rows]))}
        for name in rows[0]
        if "value" in rows[0][name]
    }


def _table(measured: dict[str, Any]) -> str:
    names = ("accuracy", "loss", "calibration_error", "brier_score")
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for title, row in measured.items():
        cells = (f"{row[name]['value']:.4f}" if name in row else "" for name in names)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
