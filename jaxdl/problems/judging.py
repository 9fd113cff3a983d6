"""The classifier by whose features generated images are judged: a problem of its own.

Shapes: n images, H W image, C channels, A classes, D features.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data import images
from jaxdl.problems.configs import generation as configs
from jaxdl.train import options, result, run
from jaxdl.train.digest import digest
from jaxdl.train.evaluation import map_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.report import Report
from jaxdl.train.state import Method, TrainState
from jaxdl.train.trained import Trained

EXPERIMENT = "mnist_features"  # that trains it; runs of GANs share its folder
Predict = Callable[[TrainState, Any], Mapping[str, jax.Array]]


class Found(NamedTuple):
    """A data set that was read."""

    config: Any
    """The options, `configs.Generation` or `configs.Judging`, with the name of the data set."""
    data: Mapping[str, Mapping[str, np.ndarray]]
    """`train` and `test`, each `image` uint8 [n, H, W, C] of the size asked for, and `label`."""

    @property
    def classes(self) -> int:
        """How many there are (A)."""
        return int(self.data["train"]["label"].max()) + 1

    def on_device(self) -> tuple[jax.Array, jax.Array]:
        """Returns images and labels to train on."""
        return jax.device_put((self.data["train"]["image"], self.data["train"]["label"]))


class Judge(NamedTuple):
    """A trained classifier."""

    predict: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    """`images [n, H, W, C] in [-1, 1] -> (probabilities [n, A], features [n, D])`."""
    accuracy: float
    """On the test images."""
    digest: str
    """Of its parameters."""
    folder: Path
    """Of its run."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What must be named beside a figure that it gave."""
        return {
            "judge": str(self.folder),
            "judge_sha256": self.digest,
            "judge_accuracy": self.accuracy,
        }


def read(config: Any, auto: images.DataSet = "mnist") -> Found:
    """Reads the images.

    Args:
      config: see `Found`.
      auto: the data set that `auto` means.
    """
    dataset, data = images.load(
        config.dataset, data_dir=config.data_dir, auto=auto, size=config.size
    )
    return Found(dataclasses.replace(config, dataset=dataset), data)


def sampler(count: int) -> Callable[[jax.Array, Any], dict[str, jax.Array]]:
    """Returns `(key, (images, labels)) -> batch` of that many images in [-1, 1]."""

    def sample(key, part):
        every, label = part
        index = jax.random.randint(key, (count,), 0, len(every))
        return {"image": images.signed(every[index]), "label": label[index]}

    return sample


def load(found: Found) -> Problem:
    """Says how the classifier is trained and tested; it predicts `logits` and `features`.

    Returns:
      The problem; its fact is `classes`.
    """
    config, part = found.config, found.data["test"]

    def accuracy(method):
        predict = classifier(method.predict)

        def of(state):
            probability, _ = predict(state, images.signed(part["image"]))
            return float((probability.argmax(-1) == part["label"]).mean())

        return of

    def test(method):
        measure, count = accuracy(method), len(part["label"])

        def of(state):
            right = measure(state)
            says = f"{100 * right:.2f} % of {count} test images right"
            return Measured(
                {"accuracy": result.metric(right, count=count)},
                f"{says} ({config.dataset}, its own test part)",
            )

        return of

    def validate(method):
        measure = accuracy(method)
        return lambda state: {"accuracy": measure(state)}

    return Problem(
        dataset=config.dataset,
        config=config,
        facts={"classes": found.classes},
        data=found.on_device(),
        sample=sampler(config.batch),
        size=config.batch,
        unit="images",
        validate=validate,
        test=test,
        protocol={"test": "the data set's own test part", "selection": "last step"},
    )


@functools.lru_cache(maxsize=8)
def classifier(predict: Predict) -> Callable[[TrainState, Any], tuple[np.ndarray, np.ndarray]]:
    """Returns `(state, images [n, H, W, C] in [-1, 1]) -> (probabilities, features)`."""

    @jax.jit
    def classify(state, shown):
        found = predict(state, {"image": shown})
        return jax.nn.softmax(found["logits"]), found["features"]

    return lambda state, shown: map_batches(
        lambda part: classify(state, part), np.asarray(shown, np.float32), 500
    )


def judge(
    config: configs.Judge,
    make: Callable[[Any, Mapping[str, Any]], Method],
    found: Found | None = None,
) -> Judge:
    """Trains the classifier, or reads it back.

    Args:
      config: the options.
      make: from the options and the problem's facts to the method.
      found: the data set, if it was read.
    """
    options.require_positive(config, "size", "steps", "batch")
    if found is None:
        found = read(config.problem)
        config = dataclasses.replace(config, problem=found.config)
    problem = load(found._replace(config=config.problem))
    folder = f"runs/{EXPERIMENT}-{config.problem.dataset}-{config.problem.size}"
    opened, method = run.open(EXPERIMENT, config, folder), make(config, problem.facts)
    state, measured = run.experiment(opened, method, problem, pace=config.problem.pace)
    predict = functools.partial(classifier(method.predict), state)
    right = measured.metrics["accuracy"]["mean"]
    return Judge(predict, right, digest(state.params), opened.report.workdir)


def named(config: configs.Generation) -> configs.Judge:
    """Returns the options of the classifier that judges: those of its folder, if one is named.

    Raises:
      ValueError: the folder has none of these images.
    """
    wanted = {"dataset": config.dataset, "size": config.size}
    new = configs.Judge(
        problem=configs.Judging(dataset=config.dataset, data_dir=config.data_dir, size=config.size)
    )
    if config.judge is None:
        return new
    stored = Report(config.judge).config()
    if stored is None or {name: stored.get(name) for name in wanted} != wanted:
        raise ValueError(
            f"{config.judge} has no classifier of {config.dataset} with {config.size} pixels; "
            f"make one with python -m experiments.{EXPERIMENT} --dataset {config.dataset} "
            f"--size {config.size}"
        )
    return dataclasses.replace(options.changed(new, stored), workdir=config.judge)


class Classifier(Trained):
    """A trained classifier, to say what images show and to give their features.

    Images are [n, H, W, C] of the size trained on, uint8 or numbers from 0 to 1.
    """

    def predict(self, shown: Any) -> np.ndarray:
        """Returns the probability of each class, [n, A]."""
        return self._seen(shown)[0]

    def features(self, shown: Any) -> np.ndarray:
        """Returns features [n, D]."""
        return self._seen(shown)[1]

    def _seen(self, shown: Any) -> tuple[np.ndarray, np.ndarray]:
        return classifier(self.method.predict)(self.state, images.signed(np.asarray(shown)))
