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
    from jaxdl.data import lake, pictures
    from jaxdl.methods.fewshot import pixels
    from jaxdl.problems import trials
    from jaxdl.train import options, run
    from jaxdl.train.report import Report

    if config.archive is None:
        raise ValueError("--archive is needed: the file all_runs.zip of the Omniglot repository")
    if config.checkpoint is None and config.views is not None:
        raise ValueError("--views needs a --checkpoint: pixels have no features to average")
    drawn = lake.load(config.archive)
    way = drawn["label"].shape[1]
    if config.checkpoint is None:
        name, trained = "modified Hausdorff distance", {}
        capacity = max(int((drawn[p] > 0).sum((-1, -2)).max()) for p in ("support", "query"))

        def predict(support, images):
            return {"inductive": pixels.hausdorff(support, images, way, capacity)}

    else:
        views = {} if config.views is None else {"views": config.views}
        opened = run.restore(config.checkpoint, **views)
        name, trained = str(config.checkpoint), options.of_the_run(opened.config)
        for part in ("support", "query"):
            drawn[part] = lake.shrink(drawn[part], trained["resize"])
        predict = trials.classifier(opened, way)

    folder = Path("runs") / f"omniglot_lake-{Path(name).name}"
    measured, first = trials.measure(predict, drawn)
    measured = measured._replace(
        says=f"error of {name}: {measured.says}",
        figures={"first_run.png": lambda: pictures.episode_figure(*first)},
    )
    run.finish(
        run.Run("omniglot_lake", Report(config.workdir or folder), {}, 0),
        measured,
        dataset="omniglot, Lake's trials",
        protocol={"runs": len(drawn["label"]), "way": way, "classifier": name, "trained": trained},
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
