"""Some classes told apart with what was learned from others.

It is given the method, a classifier.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax

from jaxdl.problems import classification, labelled
from jaxdl.problems import classification_pictures as pictures
from jaxdl.problems.configs import classification as configs
from jaxdl.problems.labelled import Part, some
from jaxdl.train import options, run, transfer
from jaxdl.train.evaluation import map_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.state import Method

FIRST, SECOND = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)
# What each network of the second classes takes from the first network, of FIRST.
CONVOLUTIONS = ("params/Conv_*", "*BatchNorm_*")
TAKEN: Mapping[str, tuple[str, ...]] = {
    "from nothing": (),
    "convolutions frozen": CONVOLUTIONS,
    "features once": (),
    "only a new head": (*CONVOLUTIONS, "params/Dense_0/*"),
    "all, convolutions slower": CONVOLUTIONS,
}
PARTS = ("0 to 4", *TAKEN)


def training(config: configs.Transfer, part: str) -> configs.Training:
    """Returns how a network is trained."""
    drawn = config.training
    epochs = config.first_epochs if part == PARTS[0] else drawn.epochs
    return configs.Training(epochs=epochs, batch=drawn.batch, learning_rate=drawn.learning_rate)


def load(
    config: configs.Transfer,
    part: str = "",
    *,
    images: tuple[str, Mapping[str, Part]] | None = None,
    features: Callable[[Any], Any] | None = None,
) -> Problem:
    """Makes the problem of one of the networks.

    Args:
      config: of the experiment.
      part: which of `PARTS`.
      images: of all classes, see `jaxdl.problems.labelled.read`; None to read them.
      features: from images uint8 [n, H, W, C] to what is learned from instead, of `features once`.

    Raises:
      ValueError: there is no such network.
    """
    if part not in PARTS:
        folders = ", ".join(map(options.folder_of, PARTS))
        raise ValueError(f"there are several networks, each in a folder of its own: {folders}")
    if part == "features once" and features is None:
        raise ValueError("it does not say of which features it is; it can only be trained again")
    images = images or labelled.read(config.problem)
    only = FIRST if part == PARTS[0] else SECOND
    data = labelled.divide(config.problem, *images, only=only)
    if only is SECOND:
        data = data.with_parts(train=some(data.parts["train"], slice(config.examples)))
    if part == "features once" and features is not None:
        data = data.with_parts(
            **{k: {**each, "image": features(each["image"])} for k, each in data.parts.items()}
        )
    return classification.problem(data, config.problem, training(config, part), seed=config.seed)


def experiment(
    name: str,
    config: configs.Transfer,
    make: Callable[[Any, Mapping[str, Any], str], Method],
    classifier: Any,
    features: Callable[[Any, Any], jax.Array],
) -> None:
    """Trains all networks and compares those of the second classes.

    Args:
      name: of the experiment's module.
      config: its options.
      make: `(config, facts, part) -> method`, a classifier.
      classifier: the module `jaxdl.methods.supervised.classifier`.
      features: from the first network's variables and images in [0, 1] to what `features once`
        learns from.
    """
    options.require_positive(config, "first_epochs", "epochs", "batch", "learning_rate")
    if config.examples is not None:
        options.require_positive(config, "examples")
    images = labelled.read(config.problem)
    dataset: Any = images[0]
    config = dataclasses.replace(
        config, problem=dataclasses.replace(config.problem, dataset=dataset)
    )
    opened = run.open(name, config, Path(f"runs/{name}-{dataset}-seed{config.seed}"))

    def learn(part, first=None):
        """Returns the variables of the network, and what the test found."""
        once = jax.jit(lambda part: features(first, part / 255.0))
        own = load(
            config,
            part,
            images=images,
            features=lambda every: map_batches(once, every, classification.AT_ONCE),
        )
        method = make(config, own.facts, part)

        def start(variables):
            for pattern in TAKEN.get(part, ()):
                variables, done = transfer.load(variables, first, pattern)
                print(f"{pattern}: {done}")
            return variables

        def init(key, batch):
            return classifier.started(method.init(key, batch), start)

        its_options = classification.options_of(
            config.problem, training(config, part), classifier.Config(), dropout=0.25
        )
        state, found = classification.learned(
            opened.part(part, {**opened.options, **its_options}),
            method._replace(init=init),
            own,
            training(config, part),
        )
        return classifier.tested(state), found

    first, _ = learn(PARTS[0])
    metrics = {part: learn(part, first)[1].metrics for part in TAKEN}
    recalls = {
        part: [found[f"recall/{index}"]["mean"] for index in range(len(SECOND))]
        for part, found in metrics.items()
    }
    said = ", ".join(
        f"{part} {100 * found['accuracy']['mean']:.2f} %" for part, found in metrics.items()
    )
    says = (
        f"{said} of {metrics['from nothing']['accuracy']['count']} test images of 5 to 9 right "
        f"({dataset}, last step, seed {config.seed})"
    )
    picture = functools.partial(pictures.draw_recalls, recalls, SECOND)
    run.finish(
        opened,
        Measured(metrics, says, {"by_class.png": picture}),
        dataset=dataset,
        protocol={"test": "test images of 5 to 9, last step"},
    )
