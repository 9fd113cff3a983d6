"""Anomaly detection: learn healthy images, and say how strange another is.

One class of a labelled data set is the anomaly. Several detectors are trained on the others and
judged by one test, beside principal components. A detector is any method that predicts, of images
in [-1, 1], scores [B], larger being stranger, and `image`, what it makes of them; its protocol says
by which `score` to go.

Shapes: n images, H W image, C channels.
"""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import anomalies, images
from jaxdl.data.anomalies import Split
from jaxdl.ops import anomaly as ops
from jaxdl.problems import anomaly_pictures
from jaxdl.problems.configs import anomalies as configs
from jaxdl.train import options, result, run
from jaxdl.train.evaluation import map_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.report import Report
from jaxdl.train.state import Method, TrainState
from jaxdl.train.trained import Trained

Predict = Callable[[TrainState, Any], Mapping[str, jax.Array]]
Scored = dict[str, tuple[np.ndarray, np.ndarray]]  # of validation and test images, by kind
Table = dict[int, dict[str, result.Metric]]  # AUROC by the class that is the anomaly, and by kind
MEASURES = {
    "auroc": ops.auroc,
    "average_precision": ops.average_precision,
    "equal_error_rate": ops.equal_error_rate,
}


class Found(NamedTuple):
    """A data set that was read."""

    config: configs.Anomalies
    """The options, with the name of the data set."""
    data: dict[str, dict[str, np.ndarray]]
    """`train` and `test`, each `image` uint8 [n, H, W, C] of the size asked for, and `label`."""

    def split(self, anomaly: int, seed: int) -> Split:
        """Divides it; see `jaxdl.data.anomalies.split`."""
        return anomalies.split(self.data, anomaly, self.config.protocol, seed)


def read(config: configs.Anomalies, auto: images.DataSet = "mnist") -> Found:
    """Reads the images.

    Args:
      config: the options.
      auto: the data set that `auto` means.
    """
    dataset, data = images.load(
        config.dataset, data_dir=config.data_dir, auto=auto, size=config.size
    )
    return Found(dataclasses.replace(config, dataset=dataset), data)


def load(config: configs.Anomalies, split: Split, *, batch: int) -> Problem:
    """Says how healthy images are drawn, and how it is judged that anomalies are found.

    Args:
      config: the options, with the name of the data set.
      split: the images, see `Found`.
      batch: images of a training step.

    Returns:
      The problem; its facts are `size` and `channels`.
    """

    def sample(key, healthy):
        index = jax.random.randint(key, (batch,), 0, len(healthy))
        return {"image": images.signed(healthy[index])}

    def validate(method):
        score = scorer(method.predict)
        return lambda state: {
            kind: values.mean() for kind, values in score(state, split.validation).items()
        }

    def test(method):
        return lambda state: measured(scores(method, state, split), split, config)

    return Problem(
        dataset=config.dataset,
        config=config,
        facts={"size": config.size, "channels": split.train.shape[-1]},
        data=jax.device_put(split.train),
        sample=sample,
        size=batch,
        unit="images",
        validate=validate,
        test=test,
        protocol={"protocol": config.protocol, "selection": "last step", "statistics": "stored"},
    )


@functools.lru_cache(maxsize=8)
def scorer(predict: Predict) -> Callable[[TrainState, Any], dict[str, np.ndarray]]:
    """Returns `(state, images [n, H, W, C], uint8 or in [0, 1]) -> {kind of score: [n]}`."""

    @jax.jit
    def score(state, shown):
        found = predict(state, {"image": images.signed(shown)})
        return {kind: values for kind, values in found.items() if values.ndim == 1}

    return lambda state, shown: map_batches(lambda part: score(state, part), shown, 256)


@functools.lru_cache(maxsize=8)
def reconstructor(predict: Predict) -> Callable[[TrainState, Any], np.ndarray]:
    """Returns `(state, images [n, H, W, C], uint8 or in [0, 1]) -> images in [0, 1]`."""

    @jax.jit
    def reconstruct(state, shown):
        return (predict(state, {"image": images.signed(shown)})["image"] + 1) / 2

    return lambda state, shown: map_batches(lambda part: reconstruct(state, part), shown, 16)


def scores(method: Method, state: TrainState, split: Split) -> Scored:
    """Returns the scores of validation and test images by kind."""
    score = scorer(method.predict)
    validation, test = score(state, split.validation), score(state, split.test)
    return {kind: (validation[kind], test[kind]) for kind in test}


def principal_components(split: Split, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the squared errors of 30 principal components, of validation and test images."""
    from sklearn.decomposition import PCA

    def flat(images):
        return images.reshape(len(images), -1) / 255

    model = PCA(30, svd_solver="randomized", random_state=seed).fit(flat(split.train))

    def error(images):
        left = model.inverse_transform(model.transform(flat(images))) - flat(images)
        return (left**2).mean(1)

    return error(split.validation), error(split.test)


def thresholds(healthy: np.ndarray) -> dict[str, float]:
    """Returns thresholds from the scores [n] of healthy images that were not trained on."""
    return {
        "maximum": ops.maximum(healthy),
        "quantile 0.99": ops.quantile(healthy),
        "mean + 3 deviations": ops.deviations(healthy),
    }


def measured(scored: Scored, split: Split, config: configs.Anomalies) -> Measured:
    """Judges how well every kind of score tells anomalies from healthy images."""
    metrics = {}
    for kind, (validation, test) in scored.items():
        for name, measure in MEASURES.items():
            value, low, high = ops.bootstrap(
                measure, test, split.anomalous, resamples=config.resamples
            )
            metrics[f"{kind}/{name}"] = result.metric(value, low=low, high=high)
        for name, threshold in thresholds(validation).items():
            value = ops.f1(test, split.anomalous, threshold)
            metrics[f"{kind}/f1 at {name}"] = result.metric(value, threshold=threshold)
    found = ", ".join(f"{kind} {metrics[f'{kind}/auroc']['mean']:.3f}" for kind in scored)
    return Measured(
        metrics,
        f"AUROC of {found} ({config.dataset}, {config.protocol} protocol)",
        {"scores.png": lambda: anomaly_pictures.draw_scores(scored, split.anomalous)},
    )


def experiment(
    name: str,
    config: Any,
    make: Callable[[Any, Mapping[str, Any], str], Method],
    detectors: Sequence[str],
    auto: images.DataSet,
) -> None:
    """Trains and judges detectors for each class as the anomaly; writes a table and pictures.

    Args:
      name: of the experiment's module.
      config: `configs.Detecting` with `method`.
      make: from the options, the problem's facts and the name of a detector to the method.
      detectors: their names.
      auto: the data set that `--dataset auto` means.
    """
    options.require_positive(config, "epochs", "batch", "learning_rate", "resamples", "features")
    found = read(config.problem, auto)
    config = dataclasses.replace(config, problem=found.config)
    dataset, protocol = found.config.dataset, found.config.protocol
    folder = f"runs/{name}-{dataset}-{protocol}-seed{config.seed}"
    whole = run.open(name, config, folder, "anomalies")
    how = f"{dataset}, {protocol} protocol, last step, stored statistics, seed {config.seed}"
    for anomaly in found.config.anomalies:
        part = whole.part(f"anomaly-{anomaly}")
        if (part.report.workdir / "result.json").exists():
            print(f"{part.report.workdir.name}: measured before")
        else:
            _measure(whole, part, anomaly, found, config, make, detectors)
        table = _so_far(whole.report.workdir)
        means = _write_table(whole.report, table, how)
    metrics = {
        f"{kind}/auroc": result.metric(mean, count=len(table)) for kind, mean in means.items()
    }
    for anomaly, row in table.items():
        metrics |= {f"{kind}/auroc/{anomaly}": auroc for kind, auroc in row.items()}
    shown = ", ".join(f"{kind} {mean:.3f}" for kind, mean in means.items())
    says = f"mean AUROC over {len(table)} classes as the anomaly: {shown} ({how})"
    figures = {"auroc.png": lambda: anomaly_pictures.draw_measures(table)}
    run.finish(
        whole,
        Measured(metrics, says, figures),
        dataset=dataset,
        protocol={"protocol": protocol, "selection": "last step", "statistics": "stored"},
    )


def _measure(whole, part, anomaly, found, config, make, detectors):
    """Trains and judges every detector with one class as the anomaly."""
    split = found.split(anomaly, config.seed)
    problem = load(found.config, split, batch=config.training.batch)
    pace = config.training.pace(len(split.train))
    scored = {}
    for name in detectors:
        print(f"anomaly-{anomaly}, {name}:")
        own = whole.part(f"anomaly-{anomaly}/{name}", {**whole.options, "anomaly": anomaly})
        method = make(config, problem.facts, name)
        state = run.train(own, method, problem, pace=pace, independent=False)
        kinds = scores(method, state, split)
        _write_detector(own, name, method, state, kinds[method.protocol["score"]], split)
        scored |= {f"{name} {kind}": both for kind, both in kinds.items()}
    scored["pca"] = principal_components(split, config.seed)
    protocol = {
        **problem.protocol,
        "anomaly": anomaly,
        "images": {name: len(getattr(split, name)) for name in ("train", "validation", "test")},
        "share of anomalies": float(split.anomalous.mean()),
    }
    judged = measured(scored, split, found.config)
    run.finish(part, judged, dataset=problem.dataset, protocol=protocol)


def _write_detector(own, name, method, state, scored, split):
    """Writes what `Detector` needs besides the state, and the strangest test images."""
    healthy, test = scored
    own.report.write_json(
        "detector.json",
        {
            "detector": name,
            "config": own.options,
            "score": method.protocol["score"],
            "thresholds": thresholds(healthy),
            "range": [float(healthy.min()), float(healthy.max())],
        },
    )
    strangest = np.argsort(-test, kind="stable")[:16]
    shown = split.test[strangest]
    titles = [
        ("anomaly", "tab:green") if strange else ("healthy", "tab:red")
        for strange in split.anomalous[strangest]
    ]
    sheet = anomaly_pictures.draw_sheet(
        images.unit(shown), reconstructor(method.predict)(state, shown), titles
    )
    own.report.save_figure(sheet, "strangest.png")


def _so_far(folder: Path) -> Table:
    """Returns the AUROC of every class that was the anomaly so far, in this run or before."""
    found = [result.read(path) for path in folder.glob("anomaly-*/result.json")]
    found.sort(key=lambda row: row["protocol"]["anomaly"])
    return {
        row["protocol"]["anomaly"]: {
            name.removesuffix("/auroc"): metric
            for name, metric in row["metrics"].items()
            if name.endswith("/auroc")
        }
        for row in found
    }


def _write_table(report: Report, table: Table, how: str) -> dict[str, float]:
    """Writes table.md; returns the mean AUROC of each kind of score."""
    kinds = list(next(iter(table.values())))
    lines = [f"| anomaly | {' | '.join(kinds)} |", f"|---|{'---|' * len(kinds)}"]
    for anomaly, row in table.items():
        cells = ("{mean:.3f} ({low:.3f}-{high:.3f})".format(**row[kind]) for kind in kinds)
        lines.append(f"| {anomaly} | {' | '.join(cells)} |")
    means = {kind: sum(row[kind]["mean"] for row in table.values()) / len(table) for kind in kinds}
    lines.append(f"| mean | {' | '.join(f'{mean:.3f}' for mean in means.values())} |")
    text = "\n".join(lines)
    report.write_text("table.md", f"AUROC (95 % bootstrap interval) on {how}.\n\n{text}\n")
    return means


class Detector(Trained):
    """A trained detector, to say how strange images are.

    Images are [n, H, W] or [n, H, W, C], uint8 or numbers from 0 to 1, of the size trained on.
    """

    at_once = 256

    def scores(self, images: Any) -> dict[str, np.ndarray]:
        """Returns the scores of images by kind, [n]; larger is stranger."""
        return scorer(self.method.predict)(self.state, self._images(images))

    def reconstruct(self, images: Any) -> np.ndarray:
        """Returns what the detector makes of images, [n, H, W, C] in [0, 1]."""
        return reconstructor(self.method.predict)(self.state, self._images(images))

    @functools.cached_property
    def calibration(self) -> dict[str, Any]:
        """What healthy validation images say of the scores.

        `score`, the kind to go by; `thresholds` by name, from which on an image is an anomaly;
        `range`, the smallest and the largest healthy score.

        Raises:
          ValueError: the detector is of no folder.
        """
        if self.folder is None:
            raise ValueError("only a detector that was restored from a folder was calibrated")
        found = json.loads((self.folder / "detector.json").read_text())
        return {name: found[name] for name in ("score", "thresholds", "range")}

    def _images(self, shown: Any) -> np.ndarray:
        size, channels = self.facts["size"], self.facts["channels"]
        return images.checked(shown, (size, size, channels))
