"""What the experiments with a teacher and a student of digits share."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments import classification, classification_pictures, image_options
from experiments import classification_training as training
from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    import flax.linen as nn

    from jaxdl.methods.distill import distill
    from jaxdl.train.report import Report
    from jaxdl.train.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """Options of a teacher and its student."""

    teacher_hidden: tuple[int, ...] = (256, 256)
    """Units of the teacher's hidden layers."""
    student_hidden: tuple[int, ...] = (32,)
    """Units of the student's."""
    teacher_epochs: int = 60
    """How often the teacher draws a training image, on average."""
    epochs: int = 60
    """How often the student does, with a teacher and without."""
    temperature: float = 4.0
    """Of the soft targets."""
    hard: float = 0.1
    """Share of the cross-entropy with the labels in the distilled student's loss."""
    omit: tuple[int, ...] = ()
    """Classes that the student never sees; afterwards their biases are raised until their mean
    probability on the validation images is what the training labels say."""
    holdout: float = 1 / 20
    """Share of the training images that is kept for validation."""
    batch: int = 128
    """Images in a step."""
    learning_rate: float = 1e-3
    """Of Adam, at first; it falls to 0."""
    shift: float = 2.0
    """Largest move of the teacher's images, in pixels of 28."""


def run(experiment: str, config: Config) -> None:
    """Trains a teacher, a student alone and a student of the teacher, and compares them.

    Args:
      experiment: name of the module that is run.
      config: its options.
    """
    import jax
    import numpy as np

    from jaxdl.data.images import name_of
    from jaxdl.methods.distill import distill
    from jaxdl.nn.classify import MLP
    from jaxdl.train import result, result_older
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report

    command.require_positive(config, "teacher_epochs", "epochs", "batch", "learning_rate")
    distill.check(command.pick(distill.Config, config), ())  # before the teacher is trained
    shared = {
        name: getattr(config, name)
        for name in ("dataset", "data_dir", "seed", "holdout", "batch", "learning_rate")
    }
    classifier = classification.Config(**shared, epochs=config.epochs)
    dataset, parts = classification.load(classifier, "mnist")
    if unknown := set(config.omit) - set(np.unique(parts["train"][1]).tolist()):
        raise ValueError(f"--omit names classes that are not there: {sorted(unknown)}")
    config = dataclasses.replace(config, dataset=dataset)
    options = command.of_the_run(config)
    report = Report(config.workdir or Path(f"runs/{experiment}-{dataset}-seed{config.seed}"))
    report.check_config(options)
    taught = classification.run(
        f"{experiment}, teacher",
        dataclasses.replace(
            classifier,
            dataset=dataset,
            epochs=config.teacher_epochs,
            shift=config.shift,
            workdir=report.workdir / "teacher",
        ),
        lambda classes: MLP(config.teacher_hidden, classes, dropout=0.5, input_dropout=0.2),
    )
    alone = classification.run(
        f"{experiment}, student alone",
        dataclasses.replace(classifier, dataset=dataset, workdir=report.workdir / "alone"),
        lambda classes: MLP(config.student_hidden, classes),
    )
    teacher = distill.teacher(taught.network, taught.variables)
    predict, state, logits = _student(config, options, teacher, parts, report)

    shown, label = parts["test"]
    found = {"distilled": predict(state, shown)}
    if config.omit:
        raised = _raised(predict(state, parts["valid"][0]), parts, config.omit)
        found["distilled, biases raised"] = np.asarray(
            jax.nn.log_softmax(found["distilled"] + raised)
        )
    measured = {"teacher": taught.metrics, "student alone": alone.metrics}
    for name, values in found.items():
        measured[name], confusion = classification.measure(values, label)
    result.write(
        report,
        experiment=experiment,
        dataset=dataset,
        protocol={
            "train": f"{len(parts['train'][1])} images of the data set's own training part",
            "test": "the data set's own test part",
            "selection": "last step",
            "classes that the student never saw": list(config.omit),
        },
        metrics=result_older.metrics(measured),
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    report.write_curves(metrics=("loss", "agreement"))
    names = [name_of(dataset, each) for each in range(len(confusion))]
    report.save_figure(classification_pictures.draw_confusion(confusion, names), "confusion.png")
    soft = np.asarray(jax.nn.softmax(logits[:12] / config.temperature))
    targets = classification_pictures.draw_targets(parts["train"][0][:12], soft)
    report.save_figure(targets, "soft_targets.png")
    mistakes = {name: metrics["accuracy"]["mistakes"] for name, metrics in measured.items()}
    said = ", ".join(f"{name} {count}" for name, count in mistakes.items())
    if config.omit:
        share = np.mean([measured[name]["by class"]["recall"][c] for c in config.omit])
        said += f"; {100 * share:.1f} % of the omitted classes right"
    print(
        f"{experiment}: mistakes of {len(label)} test images: {said} ({dataset}, its own test "
        f"part, last step, seed {config.seed}); see {report.workdir}"
    )


def _student(config, options, teacher, parts, report):
    """Returns how the distilled student predicts, its state, and what the teacher told it."""
    import numpy as np

    from jaxdl.methods.distill import distill
    from jaxdl.nn.classify import MLP

    shown, label = parts["train"]
    kept = ~np.isin(label, config.omit)
    shown, label = shown[kept], label[kept]
    settings = command.pick(distill.Config, config)
    student = MLP(config.student_hidden, int(parts["test"][1].max()) + 1)
    print("student of the teacher:")
    return learn(
        settings,
        (student, (teacher,)),
        (shown, label),
        parts["valid"],
        config,
        report=report,
        cache=report.workdir / "teacher_logits",
        options=options,
    )


def learn(
    settings: "distill.Config",
    network: tuple["nn.Module", Sequence["distill.Teacher"]],
    part: tuple[Any, Any],
    valid: tuple[Any, Any],
    config: Any,
    *,
    report: "Report",
    cache: Path,
    options: Mapping[str, Any],
) -> tuple[training.Predict, "TrainState", Any]:
    """Trains a student on what its teachers say of images that are always the same.

    With Adam, whose learning rate falls to 0.

    Args:
      settings: of the distillation.
      network: the student and its teachers, who are asked once.
      part: images and labels to learn from.
      valid: images and labels of the validation.
      config: has `learning_rate`; see `classification_training.fit`.
      report: the folder of the run.
      cache: the folder of what the teachers said.
      options: of the run.

    Returns:
      How the student predicts, its state, and the teachers' logits [n, A].
    """
    import jax
    import numpy as np
    import optax

    from jaxdl.methods.distill import distill
    from jaxdl.train.digest import digest
    from jaxdl.train.evaluation import map_batches
    from jaxdl.train.teacher_cache import cached

    student, teachers = network
    shown, label = part
    variables = [each.variables for each in teachers]
    ask = jax.jit(
        lambda images: distill.teacher_logits(settings, teachers, variables, images / 255.0)
    )
    # One variant of each image.
    logits = cached(
        cache,
        {
            "teachers": digest(variables),
            "data set": digest({"image": shown}),
            "temperature": settings.temperature,
        },
        lambda: map_batches(ask, shown, 500)[None],
    )[0]
    predict = training.predictor(
        lambda state, images: distill.predict(settings, student, state, images)
    )
    steps = config.epochs * training.epoch(len(label), config.batch)
    rate = optax.cosine_decay_schedule(config.learning_rate, steps)
    state = training.fit(
        distill.make(settings, network=(student, ()), optimizer=optax.adam(rate)),
        {"image": shown, "label": label, "teacher_logits": np.asarray(logits)},
        config,
        evaluate=training.validation(predict, valid),
        report=report,
        options=options,
    )
    return predict, state, logits


def _raised(log_probability: Any, parts: Any, omitted: tuple[int, ...]) -> Any:
    """Returns what is added to the logits [A], 0 for all classes but the omitted ones.

    With it the mean probability of each on the validation images, whose labels are not looked at,
    is its share of the training labels.
    """
    import numpy as np
    from scipy.optimize import brentq
    from scipy.special import softmax

    label = parts["train"][1]
    raised = np.zeros(log_probability.shape[-1])
    for _ in range(5 if len(omitted) > 1 else 1):  # each depends on the others
        for omit in omitted:
            share = (label == omit).mean()

            def excess(value, omit=omit, share=share):
                trial = raised.copy()
                trial[omit] = value
                return softmax(log_probability + trial, -1)[:, omit].mean() - share

            raised[omit] = brentq(excess, -50, 50)
    return raised
