"""Train several networks in one step, let them vote, and teach one network what they say together.

python -m experiments.fashion_ensemble                             # scikit-learn's digits, a minute
python -m experiments.fashion_ensemble --dataset fashion_mnist
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from experiments import classification, classification_pictures, image_options
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
    batch: int = 128
    """Images of a network in a step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    temperature: float = 2.0
    """Of the soft targets of the one network."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation and for the weights of the votes."""


def main(config: Config) -> None:
    """Runs the experiment."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.methods.distill import distill
    from jaxdl.methods.ensemble import ensemble
    from jaxdl.nn.classify import CNN
    from jaxdl.ops import voting
    from jaxdl.train.checkpoint import digest
    from jaxdl.train.evaluation import map_batches
    from jaxdl.train.report import Report

    command.require_positive(config, "epochs", "batch", "learning_rate", "temperature", "hidden")
    picked = {name: getattr(config, name) for name in ("dataset", "data_dir", "size", "holdout")}
    dataset, parts = classification.load(classification.Config(**picked), "fashion_mnist")
    config = dataclasses.replace(config, dataset=dataset)
    options = {
        k: v for k, v in dataclasses.asdict(config).items() if k not in ("data_dir", "workdir")
    }
    report = Report(config.workdir or Path(f"runs/fashion_ensemble-{dataset}-seed{config.seed}"))
    report.check_config(options)
    classes = int(parts["train"][1].max()) + 1
    network = CNN(tuple((c,) for c in config.channels), (config.hidden,), classes)
    settings = ensemble.Config(members=config.members, classes=classes)

    predict = jax.jit(
        lambda state, images: jnp.moveaxis(
            jax.nn.log_softmax(ensemble.predict(settings, network, state, images / 255.0)), 0, 1
        )
    )

    def log_probability(state, part):
        """Of each member, [M, n, A]."""
        found = map_batches(lambda some: predict(state, some), parts[part][0], 500)
        return np.moveaxis(found, 1, 0)

    def evaluate(state):
        found, label = log_probability(state, "valid"), parts["valid"][1]
        together = np.exp(found).mean(0)
        return {
            "loss": -np.log(together[np.arange(len(label)), label]).mean(),
            "accuracy": (together.argmax(-1) == label).mean(),
        }

    method = ensemble.make(settings, network=network, optimizer=_adam(config))
    state = _train(
        config, options, method, parts["train"], evaluate, report, members=config.members
    )
    label = parts["test"][1]
    found = log_probability(state, "test")
    probability = jnp.exp(found)
    singles = [classification.measure(each, label)[0] for each in found]
    valid = log_probability(state, "valid").argmax(-1) == parts["valid"][1]
    weights = voting.rank_weights(jnp.asarray(valid.mean(1)))
    votes = voting.majority(jnp.asarray(found.argmax(-1)), classes)

    teachers = [
        distill.teacher(network, ensemble.member(state, index)) for index in range(config.members)
    ]
    one, one_state = _taught(config, options, network, teachers, parts, report)
    alone = jax.jit(
        lambda images: jax.nn.log_softmax(
            distill.predict(distill.Config(), one, one_state, images / 255.0)
        )
    )
    together = {
        "ensemble": np.log(voting.average(probability)),
        "ensemble, rank averaging": np.log(voting.average(probability, weights)),
        "distilled into one": map_batches(alone, parts["test"][0], 500),
    }
    measured = {"mean of the members": _mean(singles)}
    for name, values in together.items():
        measured[name], _ = classification.measure(values, label)
    measured["ensemble, majority"] = {"accuracy": {"value": float((votes == label).mean())}}
    disagreement = np.asarray(voting.disagreement(jnp.asarray(found.argmax(-1))))
    report.write_result(
        experiment="fashion_ensemble",
        dataset=dataset,
        protocol={
            "train": f"{len(parts['train'][1])} images of the data set's own training part",
            "test": "the data set's own test part",
            "selection": "last step",
        },
        metrics=measured | {"disagreement": {"value": float(disagreement.mean())}},
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
    )
    report.write_text("table.md", _table(measured))
    report.write_curves(chance=1 / classes)
    shown = {"a member": np.exp(found[0])} | {k: np.exp(v) for k, v in together.items()}
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


def _adam(config):
    import optax

    return optax.adam(config.learning_rate)


def _train(config, options, method, part, evaluate, report, members=None):
    """Trains on batches of the part; with `members`, one for each."""
    import jax

    from jaxdl.train.training import train

    call = 10
    every = max(round(len(part[1]) / config.batch / call), 1) * call

    def sample(key, part):
        shape = (config.batch,) if members is None else (members, config.batch)
        index = jax.random.randint(key, shape, 0, len(part["label"]))
        batch = {name: leaf[index] for name, leaf in part.items()}
        return batch | {"image": batch["image"] / 255.0}

    fields = dict(zip(("image", "label", "teacher_logits"), part, strict=False))
    return train(
        method,
        sample,
        jax.device_put(fields),
        batch=members or config.batch,
        unit="images" if members is None else "networks",
        seed=config.seed,
        steps=config.epochs * every,
        steps_per_call=call,
        evaluate=evaluate,
        eval_every=every,
        log_every=max(every // 10 // call, 1) * call,
        report=report,
        metadata={"config": options},
    )


def _taught(config, options, network, teachers, parts, report):
    """Returns a network that has learned what the teachers say together, and its state."""
    import jax
    import numpy as np

    from jaxdl.methods.distill import distill
    from jaxdl.train.checkpoint import digest
    from jaxdl.train.evaluation import map_batches
    from jaxdl.train.report import Report
    from jaxdl.train.teacher_cache import cached

    settings = distill.Config(temperature=config.temperature)
    variables = [each.variables for each in teachers]
    ask = jax.jit(
        lambda images: distill.teacher_logits(settings, teachers, variables, images / 255.0)
    )
    shown, label = parts["train"]
    logits = cached(
        report.workdir / "teacher_logits",
        {
            "teachers": digest(variables),
            "data set": digest({"image": shown}),
            "temperature": config.temperature,
        },
        lambda: map_batches(ask, shown, 500)[None],
    )[0]

    @jax.jit
    def predict(state, images):
        return jax.nn.log_softmax(distill.predict(settings, network, state, images / 255.0))

    def evaluate(state):
        images, valid = parts["valid"]
        found = map_batches(lambda some: predict(state, some), images, 500)
        return {
            "loss": -found[np.arange(len(valid)), valid].mean(),
            "accuracy": (found.argmax(-1) == valid).mean(),
        }

    print("one network that learns from all:")
    method = distill.make(settings, network=(network, ()), optimizer=_adam(config))
    own = Report(report.workdir / "distilled")
    part = (shown, label, np.asarray(logits))
    return network, _train(config, options, method, part, evaluate, own)


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
