"""A teacher, a student alone and a student of the teacher, on the same labelled images.

It is given the methods: a classifier for the first two, distillation for the third.

Shapes: n images, B batch, H W image, C channels, A classes.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.nn.classify import MLP
from jaxdl.ops.classification import raised_biases
from jaxdl.problems import classification, labelled
from jaxdl.problems import classification_pictures as pictures
from jaxdl.problems.configs import classification as configs
from jaxdl.problems.labelled import Data, some
from jaxdl.train import options, run
from jaxdl.train.digest import digest
from jaxdl.train.evaluation import map_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.state import Method
from jaxdl.train.teacher_cache import cached

PARTS = {"teacher": "teacher", "student alone": "alone"}  # and their folders
SHOWN = 12  # images with soft targets


def load(
    config: configs.Teaching,
    part: str = "",
    *,
    data: Data | None = None,
    said: np.ndarray | None = None,
) -> Problem:
    """Makes the problem of a part, or of the student of the teacher.

    Args:
      config: of the experiment.
      part: which of `PARTS`; "" for the student of the teacher.
      data: all images; None to read them.
      said: what the teacher says of the student's training images, [n, A]; None when it is asked
        within the step.
    """
    data = data or labelled.load(config.problem)
    drawn = training(config, part) if part else config.training
    if part:
        return classification.problem(data, config.problem, drawn, seed=config.seed)
    train = seen(data, config.omit) | ({} if said is None else {"teacher_logits": said})
    own = classification.problem(
        data.with_parts(train=train), config.problem, drawn, seed=config.seed
    )
    protocol = {
        **own.protocol,
        "train": f"{len(data.parts['train']['label'])} images of the data set's own training part",
        "classes that the student never saw": list(config.omit),
    }
    return own._replace(protocol=protocol)


def seen(data: Data, omit: tuple[int, ...]) -> dict[str, Any]:
    """Returns the training images of the other classes."""
    train = data.parts["train"]
    return some(train, ~np.isin(train["label"], omit))


def training(config: configs.Teaching, part: str) -> configs.Training:
    """Returns how the teacher, or the student alone, is trained as a classifier."""
    drawn = config.training
    epochs = config.teacher_epochs if part == "teacher" else drawn.epochs
    return configs.Training(epochs=epochs, batch=drawn.batch, learning_rate=drawn.learning_rate)


def method(
    classifier: Any,
    distill: Any,
    config: Any,
    facts: Mapping[str, Any],
    part: str = "",
    *,
    teacher: Any = None,
) -> Method:
    """Makes the method of a part, or of the student of the teacher.

    Args:
      classifier: the module `jaxdl.methods.supervised.classifier`.
      distill: the module `jaxdl.methods.distill.distill`.
      config: `configs.Teaching` with `method`, of the distillation.
      facts: of the problem.
      part: see `load`.
      teacher: the variables of the teacher, when there are features to learn and so it is asked
        within the step; None for any, when the state will be restored.
    """
    large, small = networks(config, facts["classes"])
    if part:
        return classifier.make(
            options.told(_settings(classifier, config, part), facts),
            network=large if part == "teacher" else small,
            optimizer=training(config, part).build(facts["examples"]),
        )
    teachers = []
    if config.method.feature_loss != "none":
        if teacher is None:
            shapes = jax.eval_shape(large.init, jax.random.key(0), jnp.zeros((1, *facts["shape"])))
            zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
            teacher = {"params": zeros["params"], "batch_stats": {}}
        teachers.append(distill.teacher(large, teacher, tap=config.method.tap))
    return distill.make(
        config.method,
        network=(small, teachers),
        optimizer=config.training.build(facts["examples"]),
    )


def networks(config: configs.Teaching, classes: int) -> tuple[MLP, MLP]:
    """Returns the networks of the teacher and of its student."""
    large = MLP(config.teacher_hidden, classes, dropout=0.5, input_dropout=0.2)
    return large, MLP(config.student_hidden, classes)


def logits(
    folder: Path, distill: Any, settings: Any, teachers: Sequence[Any], images: np.ndarray
) -> np.ndarray:
    """Returns what teachers say of images that are always the same, kept in a folder.

    Args:
      folder: where it is kept.
      distill: the module, see `method`.
      settings: of the distillation.
      teachers: one or more, as `distill.teacher` makes them.
      images: uint8 [n, H, W, C].

    Returns:
      [n, A].

    Raises:
      WorkdirError: the folder holds what other teachers said, or what they said of other images.
    """
    variables = [each.variables for each in teachers]

    @jax.jit
    def ask(part):
        return distill.teacher_logits(settings, teachers, variables, part / 255.0)

    made_from = {
        "teachers": digest(variables),
        "data set": digest({"image": images}),
        "temperature": settings.temperature,
    }
    # One variant of each image.
    found = cached(
        folder, made_from, lambda: map_batches(ask, images, classification.AT_ONCE)[None]
    )
    return np.asarray(found[0])


def experiment(name: str, config: Any, classifier: Any, distill: Any) -> None:
    """Trains the three networks, compares them, and shows what the teacher says.

    Args:
      name: of the experiment's module.
      config: see `method`, as for the rest.
      classifier: the module.
      distill: the module.

    Raises:
      ValueError: an option is out of its range, or a class to omit is not there.
    """
    options.require_positive(config, "teacher_epochs", "epochs", "batch", "learning_rate")
    within = config.method.feature_loss != "none"
    distill.check(config.method, [None] if within else [])  # before the teacher is trained
    data = labelled.load(config.problem)
    if unknown := set(config.omit) - set(np.unique(data.parts["train"]["label"]).tolist()):
        raise ValueError(f"--omit names classes that are not there: {sorted(unknown)}")
    config = dataclasses.replace(
        config, problem=dataclasses.replace(config.problem, dataset=data.dataset)
    )
    opened = run.open(name, config, Path(f"runs/{name}-{data.dataset}-seed{config.seed}"))
    metrics, states = {}, {}
    for part, folder in PARTS.items():
        own = load(config, part, data=data)
        own_options = classification.options_of(
            config.problem, training(config, part), _settings(classifier, config, part)
        )
        states[part], found = classification.learned(
            opened.part(part, {**opened.options, **own_options}, folder=folder),
            method(classifier, distill, config, own.facts, part),
            own,
            training(config, part),
        )
        metrics[part] = found.metrics

    variables = classifier.tested(states["teacher"])
    teacher = distill.teacher(networks(config, len(data.names))[0], variables)
    shown = seen(data, config.omit)["image"]
    if within:
        said, known = None, jax.jit(teacher.apply)(variables, shown[:SHOWN] / 255.0)[0]
    else:
        folder = opened.report.workdir / "teacher_logits"
        said = logits(folder, distill, config.method, [teacher], shown)
        known = said[:SHOWN]
    print("student of the teacher:")
    own = load(config, data=data, said=said)
    student = method(classifier, distill, config, own.facts, teacher=variables)
    state = run.train(
        opened,
        student,
        own,
        pace=config.training.pace(own.facts["examples"]),
        independent=config.method.microbatch is not None,
    )
    opened.report.write_curves(metrics=("loss", "agreement"))
    predict = classification.predictor(student)
    test, valid = (
        classification.log_probability(predict(state, data.parts[part]["image"]))
        for part in ("test", "valid")
    )
    measured = _compared(config, data, metrics, test, valid)
    soft = np.asarray(jax.nn.softmax(known / config.method.temperature))
    targets = functools.partial(pictures.draw_targets, shown[:SHOWN], soft)
    measured = measured._replace(figures={**measured.figures, "soft_targets.png": targets})
    run.finish(opened, measured, dataset=own.dataset, protocol=own.protocol, state=state)


def _compared(config, data, metrics, test, valid):
    """Returns what is measured of all, the student's with log-probabilities [n, A]."""
    found, omit = {"distilled": test}, config.omit
    if omit:
        label = data.parts["train"]["label"]
        raised = raised_biases(valid, {each: (label == each).mean() for each in omit})
        found["distilled, biases raised"] = np.asarray(jax.nn.log_softmax(test + raised))
    label = data.parts["test"]["label"]
    for name, values in found.items():
        metrics[name], confusion = classification.measured(values, label)
    mistakes = {name: each["accuracy"]["mistakes"] for name, each in metrics.items()}
    said = ", ".join(f"{name} {count}" for name, count in mistakes.items())
    if omit:
        right = np.mean([metrics[name][f"recall/{each}"]["mean"] for each in omit])
        said += f"; {100 * right:.1f} % of the omitted classes right"
    says = (
        f"mistakes of {len(label)} test images: {said} ({data.dataset}, its own test part, last "
        f"step, seed {config.seed})"
    )
    picture = functools.partial(pictures.draw_confusion, confusion, data.names)
    return Measured(metrics, says, {"confusion.png": picture})


def _settings(classifier, config, part):
    if part == "teacher":
        return classifier.Config(shift=config.shift)
    return classifier.Config(mean=config.method.mean, deviation=config.method.deviation)
