"""Lake's one-shot trials: runs of N classes of one alphabet, a drawing of each, N to classify.

Shapes: R runs, N ways, H W image.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.metrics import Moments
from jaxdl.problems.episodes import Classifier
from jaxdl.train.problem import Measured
from jaxdl.train.result import of_moments, percent

Predict = Callable[[Any, jax.Array], Mapping[str, jax.Array]]


def classifier(trained: Classifier, way: int) -> Predict:
    """Returns `(support, images) -> {mode: logits [N, N]}` of a trained few-shot method.

    Raises:
      ValueError: it tells another number of classes apart.
    """
    method = trained.for_classes(way)

    def predict(support, images):
        task = {"support": support, "query": {"image": images}}
        one = jax.tree.map(lambda leaf: leaf[None], task)
        found = method.predict(trained.state, one)
        return {mode: found[mode][0] for mode in ("transductive", "inductive")}

    return predict


def measure(predict: Predict, trials: Mapping[str, np.ndarray]) -> tuple[Measured, Any]:
    """Classifies all the trials, and prints the error of each run.

    Args:
      predict: see `classifier`.
      trials: see `jaxdl.data.lake.load`.

    Returns:
      The errors, and the first run as arguments of `jaxdl.data.pictures.episode_figure`.
    """
    support, query, label = (trials[name] for name in ("support", "query", "label"))
    runs, way = label.shape
    classify = jax.jit(predict)
    errors: dict[str, list[float]] = {}
    first = {}
    for run in range(runs):
        known, asked = (
            jnp.asarray(drawings[run], jnp.float32)[..., None] / 255
            for drawings in (support, query)
        )
        found = classify({"image": known, "label": jnp.arange(way)}, asked)
        for mode, logits in found.items():
            predicted = np.asarray(logits.argmax(-1))
            errors.setdefault(mode, []).append(float(np.mean(predicted != label[run])))
            if run == 0:
                first[mode] = predicted
        print(f"run {run + 1:2}: " + ", ".join(f"{e[-1]:.0%} {mode}" for mode, e in errors.items()))
    metrics = {
        f"error/{mode}": of_moments(Moments.of(jnp.asarray(values), jnp.ones(runs)))
        for mode, values in errors.items()
    }
    shown = ", ".join(
        f"{percent(metric)} % {name.removeprefix('error/')}" for name, metric in metrics.items()
    )
    order = np.argsort(label[0], kind="stable")  # a query beside its class
    episode = {
        "class": np.arange(way),
        "support": {"image": support[0][..., None] / 255, "label": np.arange(way)},
        "query": {"image": query[0][order][..., None] / 255, "label": label[0][order]},
    }
    says = f"{shown} ({runs} runs x {way} trials, within alphabets, 95 % interval over runs)"
    return Measured(metrics, says), (episode, {mode: p[order] for mode, p in first.items()})
