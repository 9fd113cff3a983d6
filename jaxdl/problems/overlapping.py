"""Two images that lie over one another, each to be told: the canvases, and what is compared.

Shapes: n canvases, H W image, C channels, A classes; there are two answers about a canvas.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.two_digits import two_digits
from jaxdl.problems import classification, labelled
from jaxdl.problems import classification_pictures as pictures
from jaxdl.problems.configs import classification as configs
from jaxdl.train import options, run
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.result import metric
from jaxdl.train.state import Method

TASKS = ("above left", "below right")
IMAGE = 28  # side of the images on the canvas, in pixels
DISPUTED = 20  # canvases that are shown


def load(config: Any) -> Problem:
    """Makes the problem of any network.

    Args:
      config: of the experiment: `problem`, `training` and `seed`.
    """
    return _load(config)[0]


def experiment(
    name: str,
    config: Any,
    make: Callable[[Any, Mapping[str, Any], str], Method],
    networks: Mapping[str, Mapping[str, Any]],
) -> None:
    """Trains several networks on the same canvases and compares them.

    Args:
      name: of the experiment's module.
      config: its options.
      make: `(config, facts, part) -> method` that predicts `logits/0` and `logits/1`.
      networks: by the name of the part, options of its own.
    """
    options.require_positive(config, "epochs", "batch", "learning_rate")
    size, shift = config.problem.size, config.problem.shift
    if shift < 0 or size < IMAGE + shift:
        raise ValueError(f"--size must be at least {IMAGE} + --shift, got {size} and {shift}")
    problem, data = _load(config)
    config = dataclasses.replace(config, problem=problem.config)
    dataset = problem.dataset
    opened = run.open(name, config, Path(f"runs/{name}-{dataset}-seed{config.seed}"))
    shown, label = data.shown, data.parts["test"]["label"]
    metrics, said = {}, []
    for part, own in networks.items():
        print(f"{part}:")
        method = make(config, problem.facts, part)
        folder = opened.part(part, {**opened.options, **own})
        state = run.train(
            folder,
            method,
            problem,
            pace=config.training.pace(problem.facts["examples"]),
            independent=False,
        )
        folder.report.write_curves(chance=1 / problem.facts["classes"])
        found = classification.log_probability(classification.predictor(method)(state, shown))
        parameters = sum(leaf.size for leaf in jax.tree.leaves(state.params["network"]))
        metrics[part] = measured(found, label) | {"parameters": metric(parameters)}
        said.append(found.argmax(-1))
    rights = {part: [row[task]["mean"] for task in TASKS] for part, row in metrics.items()}
    rows = ", ".join(f"{part} {100 * row['both']['mean']:.2f} %" for part, row in metrics.items())
    says = (
        f"both digits right: {rows} (± "
        f"{100 * max(row['both']['ci95'] for row in metrics.values()):.2f}, {len(label)} canvases "
        f"of {dataset}'s own test images, last step, seed {config.seed})"
    )
    figures = {
        "by_task.png": functools.partial(pictures.draw_recalls, rights, TASKS),
        "disputed.png": functools.partial(_disputed, shown, label, np.stack(said)),
    }
    run.finish(
        opened,
        Measured(metrics, says, figures),
        dataset=dataset,
        protocol={"test": "canvases of images of the data set's own test part, last step"},
    )


def measured(found: np.ndarray, label: np.ndarray) -> dict[str, Any]:
    """Returns the shares of each task's and of both answers that are right.

    Args:
      found: log-probabilities [n, 2, A].
      label: int [n, 2].
    """
    right = found.argmax(-1) == label
    shares = dict(zip(TASKS, right.mean(0), strict=True)) | {"both": right.all(-1).mean()}
    return {name: classification.share(value, len(label)) for name, value in shares.items()}


def _load(config: Any) -> tuple[Problem, labelled.Data]:
    own = config.problem
    images = configs.Labelled(
        dataset=own.dataset, data_dir=own.data_dir, size=IMAGE, holdout=own.holdout
    )

    def draw(key, part, index):
        shown, other = two_digits(key, part["image"], index, size=own.size, shift=own.shift)
        label = jnp.stack([part["label"][index], part["label"][other]], -1)
        return {"image": shown, "label": label}

    data = labelled.made(labelled.load(images), draw)

    def judge(outputs, state):
        metrics = measured(classification.log_probability(outputs), data.parts["test"]["label"])
        return Measured(metrics, f"{100 * metrics['both']['mean']:.2f} % of both digits right")

    problem = classification.problem(
        data, own, config.training, seed=config.seed, draw=draw, judge=judge
    )
    return problem, data


def _disputed(images: Any, label: Any, said: Any) -> Any:
    """Draws the canvases that fewest networks get right, with what each says."""
    order = np.argsort((said == label).all(-1).mean(0), kind="stable")[:DISPUTED]
    names = [[f"{a}{b}" for a, b in rows] for rows in said[:, order]]
    truth = [f"{a}{b}" for a, b in label[order]]
    return pictures.draw_votes(images[order], np.array(names), truth)
