"""What every anomaly-detection experiment shares: train on healthy images, score, and judge."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.train.state import Method, TrainState

NOT_OF_THE_RUN = ("preset", "data_dir", "workdir", "anomalies")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Options of every anomaly-detection experiment."""

    dataset: Literal["auto", "digits", "mnist", "fashion_mnist"] = "digits"
    """Images: scikit-learn's digits, which need no files; MNIST or Fashion-MNIST; or `auto`, the
    data set of the experiment's name if it is prepared or can be downloaded, else digits."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default a folder of runs/ named by the
    data set, protocol and seed."""
    anomalies: tuple[int, ...] = tuple(range(10))
    """Classes that are the anomaly, in turn."""
    protocol: Literal["pooled", "official"] = "pooled"
    """`pooled`: 80 % of the healthy images of both parts of the data set for training, the rest and
    all anomalies for the test, as published; `official`: the data set's own parts."""
    seed: int = 0
    """Of the division, the parameters and the training batches."""
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
    options = {k: v for k, v in dataclasses.asdict(config).items() if k not in NOT_OF_THE_RUN}
    folder = f"{experiment}-{dataset}-{config.protocol}-seed{config.seed}"
    report = Report(config.workdir or Path("runs") / folder)
    report.check_config(options)
    table = {}
    for anomaly in config.anomalies:
        split = anomalies.split(data, anomaly, config.protocol, config.seed)
        part = Report(report.workdir / f"anomaly-{anomaly}")
        table[anomaly] = _judge(experiment, config, options, names, anomaly, split, part)
        means = _write_table(report, table, config)
    shown = ", ".join(f"{kind} {mean:.3f}" for kind, mean in means.items())
    print(
        f"{experiment}: mean AUROC over {len(table)} classes as the anomaly: {shown} ({dataset}, "
        f"{config.protocol} protocol, last step, stored statistics, seed {config.seed}); "
        f"see {report.workdir}"
    )


def _judge(experiment, config, options, names, anomaly, split, report):
    """Returns the measures of every kind of score with one class as the anomaly."""
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
    report.save_figure(_draw_scores(scored, split.anomalous), "scores.png")
    return measured


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
    report.save_figure(draw_sheet(shown, np.asarray(reconstructed), titles), "strangest.png")
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


def _draw_scores(scored, anomalous):
    """Draws, for each kind of score, how healthy images and anomalies are distributed, and ROCs."""
    from matplotlib.figure import Figure
    from sklearn.metrics import roc_curve

    figure = Figure(figsize=(3.2 * (len(scored) + 1), 3), layout="constrained")
    panels = figure.subplots(1, len(scored) + 1)
    for axes, (kind, (_, test)) in zip(panels, scored.items(), strict=False):
        axes.hist(
            [test[~anomalous], test[anomalous]], 40, density=True, label=["healthy", "anomaly"]
        )
        axes.set(title=kind, yticks=[], xlabel="score")
        alarms, hits, _ = roc_curve(anomalous, test)
        panels[-1].plot(alarms, hits, label=kind)
    panels[0].legend(fontsize=7)
    panels[-1].set(xlabel="false alarms", ylabel="hits", title="ROC")
    panels[-1].legend(fontsize=7)
    return figure


def draw_sheet(images: Any, reconstructed: Any, titles: Sequence[tuple[str, str]]) -> Any:
    """Draws images, their reconstructions and the absolute errors, one column each.

    Args:
      images: [n, H, W, C] in [-1, 1].
      reconstructed: the same shape.
      titles: a text and a colour for each image.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.8 * len(images) + 0.4, 2.7))
    grid = figure.subplots(3, len(images), squeeze=False)
    figure.subplots_adjust(0.02, 0.02, 0.98, 0.88, wspace=0.1, hspace=0.1)
    for column, (text, colour) in enumerate(titles):
        pair = images[column], reconstructed[column]
        for row, image in enumerate(pair):
            grid[row, column].imshow((1 - image.mean(-1)) / 2, cmap="gray", vmin=0, vmax=1)
        error = abs(pair[0] - pair[1]).mean(-1)
        grid[2, column].imshow(error, cmap="inferno", vmin=0, vmax=2)
        grid[0, column].set_title(text, fontsize=7, color=colour)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure
