"""What every anomaly-detection experiment shares: train on healthy images, score, and judge."""

import dataclasses
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from experiments import anomaly_pictures, image_options
from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.train.state import Method, TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """Options of every anomaly-detection experiment."""

    anomalies: Annotated[tuple[int, ...], tyro.conf.arg(aliases=("--digits",))] = tuple(range(10))
    """Classes that are the anomaly, in turn."""
    protocol: Literal["pooled", "official"] = "pooled"
    """`pooled`: 80 % of the healthy images of both parts of the data set for training, the rest and
    all anomalies for the test, as published; `official`: the data set's own parts."""
    size: int = 32
    """Side of the images, in pixels, to which they are enlarged: 16, 32, ..."""
    latent: int = 100
    """Latent dimensions."""
    features: int = 8
    """Channels of the layers nearest to the image; the authors' 64."""
    epochs: int = 30
    """How often a training image is drawn, on average."""
    batch: int = 64
    """Images in a training step."""
    learning_rate: float = 2e-4
    """Of Adam, for all networks."""
    resamples: int = 200
    """Of the bootstrap, for the intervals."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detector:
    """A detector that is trained by steps."""

    method: "Method"
    """Its steps."""
    scores: Callable[["TrainState", Any], dict[str, Any]]
    """`(state, images) -> {kind of score: [B]}`."""
    reconstruct: Callable[["TrainState", Any], Any]
    """`(state, images) -> images`."""
    headline: str
    """The kind of score to go by."""


def detector(name: str, config: Config) -> Detector:
    """Makes `ganomaly` or `autoencoder` from the options."""
    import optax

    from jaxdl.methods.gan import autoencoder, ganomaly

    module = {"ganomaly": ganomaly, "autoencoder": autoencoder}[name]
    settings = command.pick(module.Config, config)
    network = module.networks(settings)
    adam = optax.adam(config.learning_rate, b1=0.5)
    optimizer = (adam, adam) if name == "ganomaly" else adam
    return Detector(
        method=module.make(settings, network=network, optimizer=optimizer),
        scores=functools.partial(module.scores, network),
        reconstruct=functools.partial(module.reconstruct, network),
        headline="latent" if name == "ganomaly" else "reconstruction",
    )


def run(experiment: str, config: Config, names: Sequence[str], auto: str) -> None:
    """Trains and judges detectors for each class as the anomaly; writes a table and pictures.

    Args:
      experiment: name of the module that is run.
      config: its options.
      names: of the detectors: `ganomaly`, `autoencoder`, `pca`.
      auto: the data set that `--dataset auto` means.
    """
    from jaxdl.data import anomalies, images
    from jaxdl.train.report import Report

    command.require_positive(config, "epochs", "batch", "learning_rate", "resamples", "features")
    dataset, data = images.load(config.dataset, data_dir=config.data_dir, auto=auto)
    config = dataclasses.replace(config, dataset=dataset)
    data = {
        part: fields | {"image": images.resize(fields["image"], config.size)}
        for part, fields in data.items()
    }
    options = command.of_the_run(config, "anomalies")
    folder = f"{experiment}-{dataset}-{config.protocol}-seed{config.seed}"
    report = Report(config.workdir or Path("runs") / folder)
    report.check_config(options)
    for anomaly in config.anomalies:
        part = Report(report.workdir / f"anomaly-{anomaly}")
        if (part.workdir / "result.json").exists():
            print(f"{part.workdir.name}: measured before")
        else:
            split = anomalies.split(data, anomaly, config.protocol, config.seed)
            _judge(experiment, config, options, names, anomaly, split, part)
        table = _measured(report.workdir)
        means = _write_table(report, table, config)
    protocol = {"protocol": config.protocol, "selection": "last step", "statistics": "stored"}
    report.write_json(
        "result.json",
        {
            "experiment": experiment,
            "dataset": dataset,
            "protocol": protocol,
            "mean_auroc": means,
            "auroc": {
                anomaly: {kind: measures["auroc"] for kind, measures in row.items()}
                for anomaly, row in table.items()
            },
            "seed": config.seed,
        },
    )
    report.save_figure(anomaly_pictures.draw_measures(table), "auroc.png")
    shown = ", ".join(f"{kind} {mean:.3f}" for kind, mean in means.items())
    print(
        f"{experiment}: mean AUROC over {len(table)} classes as the anomaly: {shown} ({dataset}, "
        f"{config.protocol} protocol, last step, stored statistics, seed {config.seed}); "
        f"see {report.workdir}"
    )


def _judge(experiment, config, options, names, anomaly, split, report):
    """Measures every kind of score with one class as the anomaly, in result.json."""
    from jaxdl.ops import anomaly as judge

    scored = {}
    for name in names:
        if name == "pca":
            scored["pca"] = _principal_components(split, config.seed)
        else:
            found = _train(config, options | {"anomaly": anomaly}, name, split, report.workdir)
            scored |= {f"{name} {kind}": values for kind, values in found.items()}
    measured = {}
    for kind, (validation, test) in scored.items():
        measures = {"auroc": judge.auroc, "average_precision": judge.average_precision}
        measures["equal_error_rate"] = judge.equal_error_rate
        row = {
            name: judge.bootstrap(
                measure, test, split.anomalous, resamples=config.resamples
            )._asdict()
            for name, measure in measures.items()
        }
        for name, threshold in thresholds(validation).items():
            row[f"f1 at {name}"] = {
                "threshold": threshold,
                "value": judge.f1(test, split.anomalous, threshold),
            }
        measured[kind] = row
    report.save_figure(anomaly_pictures.draw_scores(scored, split.anomalous), "scores.png")
    report.write_json(
        "result.json",
        {
            "experiment": experiment,
            "anomaly": anomaly,
            "config": options,
            "images": {name: len(getattr(split, name)) for name in ("train", "validation", "test")},
            "share of anomalies": float(split.anomalous.mean()),
            "measures": measured,
        },
    )


def _measured(folder):
    """Returns the measures of every class that was the anomaly so far, in this run or before."""
    found = [json.loads(path.read_text()) for path in folder.glob("anomaly-*/result.json")]
    return {row["anomaly"]: row["measures"] for row in sorted(found, key=lambda r: r["anomaly"])}


def _principal_components(split, seed):
    """Returns the squared errors of 30 principal components, of validation and test images."""
    from sklearn.decomposition import PCA

    def flat(images):
        return images.reshape(len(images), -1) / 255

    model = PCA(30, svd_solver="randomized", random_state=seed).fit(flat(split.train))

    def error(images):
        return ((model.inverse_transform(model.transform(flat(images))) - flat(images)) ** 2).mean(
            1
        )

    return error(split.validation), error(split.test)


def _train(config, metadata, name, split, folder):
    """Trains a detector; returns its scores of validation and test images, by kind."""
    import jax
    import numpy as np

    from jaxdl.data.images import unit
    from jaxdl.train.report import Report
    from jaxdl.train.training import train

    made = detector(name, config)
    steps_per_call = 10
    steps = config.epochs * len(split.train) // config.batch // steps_per_call * steps_per_call
    every = max(steps // 5 // steps_per_call, 1) * steps_per_call

    def sample(key, images):
        index = jax.random.randint(key, (config.batch,), 0, len(images))
        return {"image": unit(images[index])}

    score_all = scorer(made)
    report = Report(folder / name)
    print(f"{folder.name}, {name}:")
    state = train(
        made.method,
        sample,
        jax.device_put(split.train),
        batch=config.batch,
        independent=False,
        unit="images",
        seed=config.seed,
        steps=steps,
        steps_per_call=steps_per_call,
        evaluate=lambda state: {
            kind: values.mean() for kind, values in score_all(state, split.validation).items()
        },
        eval_every=every,
        log_every=every,
        report=report,
        metadata={"config": metadata},
    )
    validation, test = score_all(state, split.validation), score_all(state, split.test)
    healthy = validation[made.headline]
    report.write_json(
        "detector.json",
        {
            "detector": name,
            "config": metadata,
            "score": made.headline,
            "thresholds": thresholds(healthy),
            "range": [float(healthy.min()), float(healthy.max())],
        },
    )
    strangest = np.argsort(-test[made.headline], kind="stable")[:16]
    shown = unit(split.test[strangest])
    titles = [
        ("anomaly", "tab:green") if strange else ("healthy", "tab:red")
        for strange in split.anomalous[strangest]
    ]
    reconstructed = jax.jit(made.reconstruct)(state, shown)
    sheet = anomaly_pictures.draw_sheet(shown, np.asarray(reconstructed), titles)
    report.save_figure(sheet, "strangest.png")
    return {kind: (validation[kind], test[kind]) for kind in test}


def scorer(made: Detector) -> Callable[["TrainState", Any], dict[str, Any]]:
    """Returns `(state, uint8 images [n, H, W, C]) -> {kind of score: [n]}`."""
    import jax

    from jaxdl.data.images import unit
    from jaxdl.train.evaluation import map_batches

    score = jax.jit(lambda state, images: made.scores(state, unit(images)))
    return lambda state, images: map_batches(lambda part: score(state, part), images, 256)


def thresholds(healthy: Any) -> dict[str, float]:
    """Returns thresholds from the scores of healthy images that were not trained on."""
    from jaxdl.ops import anomaly as judge

    return {
        "maximum": judge.maximum(healthy),
        "quantile 0.99": judge.quantile(healthy),
        "mean + 3 deviations": judge.deviations(healthy),
    }


def _write_table(report, table, config):
    """Writes table.md; returns the mean AUROC of each kind of score."""
    kinds = list(next(iter(table.values())))
    lines = [f"| anomaly | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    for anomaly, row in table.items():
        cells = (
            "{value:.3f} ({low:.3f}-{high:.3f})".format(**row[kind]["auroc"]) for kind in kinds
        )
        lines.append(f"| {anomaly} | {' | '.join(cells)} |")
    means = {
        kind: sum(row[kind]["auroc"]["value"] for row in table.values()) / len(table)
        for kind in kinds
    }
    lines.append(f"| mean | {' | '.join(f'{mean:.3f}' for mean in means.values())} |")
    report.write_text(
        "table.md",
        f"AUROC (95 % bootstrap interval) on {config.dataset}, {config.protocol} protocol, last "
        f"step, stored statistics, seed {config.seed}.\n\n" + "\n".join(lines) + "\n",
    )
    return means
