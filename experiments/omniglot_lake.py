"""Lake's one-shot trials: 20 classes of one alphabet, one drawing each, 20 to classify.

    python -m experiments.omniglot_lake --archive all_runs.zip
    python -m experiments.omniglot_lake --archive all_runs.zip --checkpoint runs/RUN

The archive is python/one-shot-classification/all_runs.zip of the Omniglot repository: 20 runs, 400
trials. Without a checkpoint, the classifier is the nearest drawing by the modified Hausdorff
distance; its error there must be 38.75 %, which shows that the trials are read as they should be.
People have 4.5 %. A run to be compared with published numbers is trained with --split lake
--rotations none.
"""

import dataclasses
import sys
from pathlib import Path

from experiments import episodic_finished, episodic_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Errors on Lake's one-shot classification trials."""

    archive: Path | None = None
    """The file all_runs.zip."""
    checkpoint: Path | None = None
    """Folder of a finished run, such as one of experiments.omniglot_protonet; by default none, and
    the modified Hausdorff distance."""
    views: int | None = None
    """Distorted copies of a drawing whose features are averaged with its own; by default as many as
    in the run's own test."""
    workdir: Path | None = None
    """Where the results go; by default in runs/."""


def main(config: Config) -> None:
    """Classifies the trials, prints the error of each run, and draws the first."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.data import lake, pictures
    from jaxdl.methods.fewshot import pixels
    from jaxdl.ops.metrics import Moments
    from jaxdl.train import result
    from jaxdl.train.report import Report

    if config.archive is None:
        raise ValueError("--archive is needed: the file all_runs.zip of the Omniglot repository")
    if config.checkpoint is None and config.views is not None:
        raise ValueError("--views needs a --checkpoint: pixels have no features to average")
    trials = lake.load(config.archive)
    runs, way = trials["label"].shape
    if config.checkpoint is None:
        name, trained = "modified Hausdorff distance", {}
        support, query = trials["support"], trials["query"]
        capacity = max(int((part > 0).sum((-1, -2)).max()) for part in (support, query))

        def predict(support, images):
            return {"inductive": pixels.hausdorff(support, images, way, capacity)[None]}

    else:
        trained, built, state = episodic_finished.read(config.checkpoint, way, config.views)
        name, trained = str(config.checkpoint), episodic_options.of_the_run(trained)
        support, query = (
            lake.shrink(trials[part], trained["resize"]) for part in ("support", "query")
        )

        def predict(support, images):
            return built.learner.predict(state.params, state.extra, support, images)

    report = Report(config.workdir or Path("runs") / f"omniglot_lake-{Path(name).name}")
    predict, errors, first = jax.jit(predict), {}, {}
    for run in range(runs):
        images = {
            part: jnp.asarray(drawings[run], jnp.float32)[..., None] / 255
            for part, drawings in (("support", support), ("query", query))
        }
        known = {"image": images["support"], "label": jnp.arange(way)}
        for mode, logits in predict(known, images["query"]).items():
            predicted = np.asarray(logits[-1].argmax(-1))
            errors.setdefault(mode, []).append(float(np.mean(predicted != trials["label"][run])))
            if run == 0:
                first[mode] = predicted
        print(f"run {run + 1:2}: " + ", ".join(f"{e[-1]:.0%} {mode}" for mode, e in errors.items()))
    metrics = {
        f"error/{mode}": Moments.of(jnp.asarray(values), jnp.ones(runs))
        for mode, values in errors.items()
    }
    result.write(
        report,
        experiment="omniglot_lake",
        dataset="omniglot, Lake's trials",
        protocol={"runs": runs, "way": way, "classifier": name, "trained": trained},
        metrics=metrics,
        seed=0,
        steps=0,
        params_sha256=None,
        config={"checkpoint": str(config.checkpoint), "views": config.views},
    )
    order = np.argsort(trials["label"][0], kind="stable")  # a query beside its class
    episode = {
        "class": np.arange(way),
        "support": {"image": support[0][..., None] / 255, "label": np.arange(way)},
        "query": {"image": query[0][order][..., None] / 255, "label": trials["label"][0][order]},
    }
    predicted = {mode: values[order] for mode, values in first.items()}
    report.save_figure(pictures.episode_figure(episode, predicted), "first_run.png")
    shown = ", ".join(
        f"{100 * float(m.mean):.2f} ± {100 * float(m.ci95):.2f} % {mode.removeprefix('error/')}"
        for mode, m in metrics.items()
    )
    print(
        f"omniglot_lake, error of {name}: {shown} ({runs} runs x {way} trials, within alphabets, "
        f"95 % interval over runs); see {report.workdir}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
