"""What several networks say together of labelled images, and one that has learned it from them.

Shapes: n images, M members, A classes.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxdl.ops import voting
from jaxdl.problems import classification_pictures as pictures
from jaxdl.problems.classification import log_probability, measured, predictor
from jaxdl.problems.labelled import Data
from jaxdl.train.problem import Measured
from jaxdl.train.result import metric
from jaxdl.train.state import Method, TrainState

DISPUTED = 20  # images that are shown


def compare(
    data: Data,
    ensemble: tuple[Method, TrainState],
    distilled: tuple[Method, TrainState],
    *,
    seed: int,
) -> tuple[Measured, str]:
    """Compares the members of an ensemble, their votes, and one network that learned from them.

    Args:
      data: with the test part; the votes' weights are of the validation part.
      ensemble: a method that predicts `members`, log-probabilities [n, M, A], and its state.
      distilled: a classifier and its state.
      seed: of the run.

    Returns:
      What was measured, and a table in Markdown.
    """
    predict = predictor(ensemble[0])
    valid, test = (predict(ensemble[1], data.parts[name]["image"]) for name in ("valid", "test"))
    label = data.parts["test"]["label"]
    found = np.moveaxis(test["members"], 1, 0)  # [M, n, A]
    probability, said = jnp.exp(found), found.argmax(-1)
    right = valid["members"].argmax(-1) == data.parts["valid"]["label"][:, None]
    weights = voting.rank_weights(jnp.asarray(right.mean(0)))
    votes = voting.majority(jnp.asarray(said), found.shape[-1])
    disagreement = np.asarray(voting.disagreement(jnp.asarray(said)))
    one = predictor(distilled[0])(distilled[1], data.parts["test"]["image"])
    averaged = {
        "ensemble": np.asarray(test["log_probability"]),
        "ensemble, rank averaging": np.log(voting.average(probability, weights)),
        "distilled into one": log_probability(one),
    }
    metrics = {"mean of the members": _mean([measured(each, label)[0] for each in found])}
    for name, values in averaged.items():
        metrics[name], _ = measured(values, label)
    metrics["ensemble, majority"] = {"accuracy": metric(float((votes == label).mean()))}
    table = _table(metrics)
    metrics["disagreement"] = metric(disagreement.mean())
    rows = [metrics[name] for name in ("mean of the members", "ensemble", "distilled into one")]
    says = "; ".join(
        f"{title} " + ", ".join(f"{factor * row[name]['mean']:.{digits}f}" for row in rows)
        for title, name, factor, digits in (
            ("accuracy %", "accuracy", 100, 2),
            ("loss", "loss", 1, 4),
            ("calibration error %", "calibration_error", 100, 2),
        )
    )
    disputed = np.argsort(-disagreement, kind="stable")[:DISPUTED]
    shown = {"a member": np.exp(found[0])} | {k: np.exp(v) for k, v in averaged.items()}
    figures = {
        "reliability.png": functools.partial(pictures.draw_reliability, shown, label),
        "disagreement.png": functools.partial(
            pictures.draw_votes, data.shown[disputed], said[:, disputed], label[disputed]
        ),
    }
    whole = (
        f"a member, the ensemble of {len(found)}, one that learned from it: {says} "
        f"({data.dataset}, its own test part, last step, seed {seed})"
    )
    return Measured(metrics, whole, figures), table


def _mean(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the means of what was measured of several networks, for all classes together."""
    return {
        name: metric(float(np.mean([row[name]["mean"] for row in rows])))
        for name in rows[0]
        if "/" not in name
    }


def _table(metrics: Mapping[str, Any]) -> str:
    names = ("accuracy", "loss", "calibration_error", "brier_score")
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
    for title, row in metrics.items():
        cells = (f"{row[name]['mean']:.4f}" if name in row else "" for name in names)
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
