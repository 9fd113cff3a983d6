"""Labelled images to tell apart: how they are drawn, validation, the test, and the use.

Shapes: n images, B batch, H W image, C channels, T answers about an image, A classes.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from jaxdl.data.images import DataSet, checked, resize, unit
from jaxdl.nn.configs import Layers
from jaxdl.ops import classification as ops
from jaxdl.problems import classification_pictures as pictures
from jaxdl.problems import labelled
from jaxdl.problems.configs import classification as configs
from jaxdl.problems.labelled import Data, Draw, Part, made, some
from jaxdl.train import options, run
from jaxdl.train.evaluation import map_batches, sum_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.result import metric, percent
from jaxdl.train.state import Method, TrainState
from jaxdl.train.trained import Trained

AT_ONCE = 500  # images of a compiled call in validation and test
Make = Callable[[Any, Mapping[str, Any]], Method]
Figures = Mapping[str, Callable[[TrainState, np.ndarray], Any]]


def problem(
    data: Data,
    config: Any,
    drawing: configs.Drawing,
    *,
    seed: int,
    draw: Draw | None = None,
    members: int | None = None,
    stops_early: bool = False,
    figures: Figures = MappingProxyType({}),
    judge: Callable[[Mapping[str, np.ndarray], TrainState], Measured] | None = None,
) -> Problem:
    """Says how labelled images are drawn and how what was learned of them is judged.

    Args:
      data: the images.
      config: of the data.
      drawing: how many are drawn at once.
      seed: of the run, for the last line.
      draw: `(key, part, index [B]) -> batch`: what is made of the training images with these
        numbers, inside the step; None for these images. Bytes become numbers in [0, 1] afterwards.
      members: of an ensemble, each of which has a batch of its own; None for one network.
      stops_early: whether the last step is not known before.
      figures: further ones of the test by file name, `(state, test images) -> figure`.
      judge: `(outputs of predict, [n, ...] by name, state) -> Measured`, of the test part; None for
        `judged`.

    Returns:
      The problem; its facts are `classes`, `examples`, the training images, and `shape`, [H, W, C].
    """
    train, test = data.parts["train"], data.parts["test"]
    shape = (drawing.batch,) if members is None else (members, drawing.batch)

    def sample(key, part):
        which_key, draw_key = jax.random.split(key)
        index = jax.random.randint(which_key, shape, 0, len(part["label"]))
        batch = some(part, index) if draw is None else draw(draw_key, part, index)
        return {**batch, "image": unit(batch["image"])}

    def measure(method):
        predict = predictor(method)
        own = judge or functools.partial(judged, data, seed=seed, figures=figures)
        return lambda state: own(predict(state, test["image"]), state)

    return Problem(
        dataset=data.dataset,
        config=dataclasses.replace(config, dataset=data.dataset),
        facts={
            "classes": len(data.names),
            "examples": len(train["label"]),
            "shape": list(test["image"].shape[1:]),
        },
        data=jax.device_put(dict(train)),
        sample=sample,
        size=members or drawing.batch,
        unit="images" if members is None else "networks",
        validate=lambda method: validation(method, data.parts["valid"]),
        test=measure,
        protocol={
            "train": f"{len(train['label'])} images of the data set's own training part",
            "test": "the data set's own test part",
            "selection": "early stopping, last step" if stops_early else "last step",
        },
    )


def load(
    config: configs.Classification,
    *,
    auto: DataSet = "mnist",
    draw: Draw | None = None,
    figures: Figures = MappingProxyType({}),
) -> Problem:
    """Reads the images of an experiment with one classifier; see `labelled.load`."""
    data = labelled.load(config.problem, auto=auto)
    return problem(
        data if draw is None else made(data, draw),
        config.problem,
        config.training,
        seed=config.seed,
        draw=draw,
        stops_early=config.training.patience is not None,
        figures=figures,
    )


def experiment(
    name: str,
    config: Any,
    make: Make,
    *,
    auto: DataSet = "mnist",
    draw: Draw | None = None,
    figures: Figures = MappingProxyType({}),
    folder: str | None = None,
) -> None:
    """Trains a classifier, or resumes, tests it and draws where it is wrong.

    Args:
      name: of the experiment's module.
      config: `configs.Classification` with `method`.
      make: from the options and the problem's facts to the method.
      auto: see `jaxdl.problems.labelled.read`.
      draw: see `problem`.
      figures: see `problem`.
      folder: where the run is when `workdir` is None; None for one that is named by the experiment.
    """
    options.require_positive(config, "epochs", "batch", "learning_rate")
    if config.training.patience is not None:
        options.require_positive(config, "patience")
    own = load(config, auto=auto, draw=draw, figures=figures)
    config = dataclasses.replace(config, problem=own.config)
    named = "-".join([name, *([config.preset] if hasattr(config, "preset") else []), own.dataset])
    opened = run.open(name, config, folder or Path(f"runs/{named}-seed{config.seed}"))
    learned(
        opened,
        make(config, own.facts),
        own,
        config.training,
        independent=config.method.microbatch is not None,
    )


def learned(
    opened: run.Run,
    method: Method,
    own: Problem,
    training: configs.Training,
    *,
    independent: bool = False,
) -> tuple[TrainState, Measured]:
    """Trains a classifier in a folder, tests it and writes everything.

    Args:
      opened: the folder.
      method: to train.
      own: the problem.
      training: how.
      independent: see `jaxdl.train.step.data_mesh`. Cores that work on one batch at the same time
        wait for one another's gradients, and each changes all parameters: twice as slow as shared
        products where dense layers are large, and no faster where they are not.

    Returns:
      The last state and what the test found.
    """
    return run.experiment(
        opened,
        method,
        own,
        pace=training.pace(own.facts["examples"]),
        independent=independent,
        patience=training.patience,
        chance=1 / own.facts["classes"],
    )


def options_of(
    problem: configs.Labelled, training: configs.Training, method: Any, **layers: Any
) -> dict[str, Any]:
    """Returns what defines a classifier that is a part of a run, as if it were one of its own."""
    groups = (problem, training, Layers(**layers), method)
    return {name: value for group in groups for name, value in options.of_the_run(group).items()}


def validation(method: Method, part: Part) -> Callable[[TrainState], dict[str, float]]:
    """Makes the measurement of a state on a part: the mean `loss` and `accuracy` of all labels."""

    @jax.jit
    def measure(state, batch):
        return method.eval_step(state, {**batch, "image": unit(batch["image"])})

    answers = part["label"][0].size

    def evaluate(state):
        found = sum_batches(lambda batch: measure(state, batch), dict(part), AT_ONCE)
        # The loss of an example is the sum of its answers'.
        return {"loss": found["loss"].mean / answers, "accuracy": found["accuracy"].mean}

    return evaluate


def predictor(method: Method) -> Callable[[TrainState, Any], dict[str, np.ndarray]]:
    """Makes the prediction `(state, images [n, H, W, C]) -> outputs [n, ...] by name`, of NumPy.

    Among them is `log_probability`, [n, A], or [n, T, A] of a method that answers T questions.
    """

    @jax.jit
    def compiled(state, images):
        outputs = method.predict(state, {"image": unit(images)})
        return {**outputs, "log_probability": log_probability(outputs)}

    return lambda state, images: map_batches(lambda part: compiled(state, part), images, AT_ONCE)


def log_probability(outputs: Mapping[str, Any]) -> Any:
    """Returns what a method says of the classes, [n, A], or [n, T, A] when it answers T questions.

    Args:
      outputs: of `predict`: `log_probability`, `logits`, or `logits/0` to `logits/T-1`.
    """
    if "log_probability" in outputs:
        return outputs["log_probability"]
    if "logits" in outputs:
        return jax.nn.log_softmax(outputs["logits"])
    tasks = sum(name.startswith("logits/") for name in outputs)
    return jax.nn.log_softmax(jnp.stack([outputs[f"logits/{task}"] for task in range(tasks)], 1))


def judged(
    data: Data,
    outputs: Mapping[str, np.ndarray],
    state: TrainState,
    *,
    seed: int,
    figures: Figures = MappingProxyType({}),
) -> Measured:
    """Judges a classifier by what it says of the test images.

    Args:
      data: with the test part.
      outputs: of `predict`, of the test images.
      state: that was tested.
      seed: of the run.
      figures: see `problem`.
    """
    found, label = log_probability(outputs), data.parts["test"]["label"]
    metrics, confusion = measured(found, label)
    says = (
        f"{percent(metrics['accuracy'])} % of {len(label)} test images right, loss "
        f"{metrics['loss']['mean']:.4f}, expected calibration error "
        f"{percent(metrics['calibration_error'])} % ({data.dataset}, its own test part, after step "
        f"{int(state.step)}, seed {seed})"
    )
    drawn = {
        "confusion.png": functools.partial(pictures.draw_confusion, confusion, data.names),
        "mistakes.png": functools.partial(
            pictures.draw_mistakes, data.shown, np.exp(found), label, data.names
        ),
    }
    drawn |= {name: functools.partial(draw, state, data.shown) for name, draw in figures.items()}
    return Measured(metrics, says, drawn)


def measured(found: np.ndarray, label: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Measures predictions.

    Args:
      found: log-probabilities [n, A].
      label: int [n].

    Returns:
      Metrics, see `jaxdl.train.result`, and the confusion matrix, int [A, A].
    """
    classes = found.shape[-1]
    probability = np.exp(found)
    confusion = confusion_matrix(label, probability.argmax(-1), labels=np.arange(classes))
    right = int(np.diag(confusion).sum())
    by_class = dict(
        zip(("precision", "recall", "f1"), ops.precision_recall_f1(confusion), strict=True)
    )
    metrics = {
        "accuracy": share(right / len(label), len(label), mistakes=len(label) - right),
        "loss": metric(-found[np.arange(len(label)), label].mean()),
        "brier_score": metric(
            np.asarray(ops.brier_score(jnp.asarray(probability), jnp.asarray(label))).mean()
        ),
        "calibration_error": metric(ops.reliability(probability, label).expected_calibration_error),
    }
    if classes > 3:
        best = top_k_accuracy_score(label, probability, k=3, labels=np.arange(classes))
        metrics["top 3 accuracy"] = metric(best)
    for name, values in by_class.items():
        metrics[name] = metric(values.mean())
        metrics |= {f"{name}/{index}": metric(value) for index, value in enumerate(values)}
    return metrics, confusion


def share(value: Any, count: int, **more: Any) -> dict[str, Any]:
    """Returns the metric of a share of that many examples, with its normal 95 % interval."""
    return metric(value, 1.96 * (value * (1 - value) / count) ** 0.5, count, **more)


class Recognizer(Trained):
    """A trained method that says of images to which classes they belong."""

    def predict(self, images: Any) -> np.ndarray:
        """Returns the probability of each class, [n, A], or [n, T, A] when there are T answers.

        Args:
          images: [n, H, W] or [n, H, W, C], uint8 or numbers from 0 to 1, ink being high; of
            another size they are resized as the training images were.

        Raises:
          ValueError: they have another number of channels, or numbers of another kind or range.
        """
        return np.exp(np.asarray(log_probability(self.apply({"image": self.images(images)}))))

    def images(self, images: Any) -> np.ndarray:
        """Returns images as the method wants them, float32 [n, H, W, C]; see `predict`."""
        shape = tuple(self.facts["shape"])
        images = checked(images, (*np.shape(images)[1:3], shape[-1]))
        if images.shape[1:] != shape:
            in_bytes = images if images.dtype == "uint8" else np.rint(255 * images)
            images = resize(in_bytes.astype(np.uint8), shape[0])
        return np.asarray(unit(images), np.float32)
