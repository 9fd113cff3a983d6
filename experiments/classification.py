"""What every experiment with an image classifier shares: training, judging, and pictures."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from experiments import classification_pictures, image_options
from experiments import classification_training as training
from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    import flax.linen as nn

    from jaxdl.train.report import Report

Optimizer = Literal[
    *("sgd", "momentum", "nag", "adagrad", "adadelta", "rmsprop", "adam", "nadam", "amsgrad"),
    *("radam", "rprop", "lookahead", "adabound", "swats"),
]
Schedule = Literal["constant", "linear", "cosine", "triangular"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """Options of every classifier."""

    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation."""
    epochs: int = 10
    """How often a training image is drawn, on average."""
    batch: int = 128
    """Images in a training step."""
    optimizer: Optimizer = "adam"
    """See jaxdl.train.optimizers; rprop, adabound and swats change their rates by themselves."""
    momentum: float = 0.9
    """Of the optimizers `momentum` and `nag`."""
    learning_rate: float = 1e-3
    """The largest."""
    schedule: Schedule = "cosine"
    """Of the learning rate: it stays, falls to 0, or goes up and down four times."""
    warmup: float = 0.0
    """Share of the training in which the learning rate rises from 0."""
    weight_decay: float = 0.0
    """Share of every kernel that is taken away in a step, times the learning rate."""
    clip: float = 0.0
    """Largest norm of the gradient; 0 for any."""
    dropout: float = 0.0
    """Share of the units before dense layers that a training step leaves out."""
    label_smoothing: float = 0.0
    """Share of the target that all classes have alike."""
    mixup: float = 0.0
    """Mix two images by a share from Beta(mixup, mixup); 0 for not at all."""
    degrees: float = 0.0
    """Largest angle by which a training image is turned."""
    scale: float = 0.0
    """Largest share by which it becomes larger or smaller."""
    shear: float = 0.0
    """Its largest shear, as a tangent."""
    shift: float = 0.0
    """Its largest move, in pixels."""
    flip: bool = False
    """Mirror it left to right half the time."""
    brightness: float = 0.0
    """Largest share by which it becomes brighter or darker."""
    noise: float = 0.0
    """Standard deviation of the noise of its pixels."""
    mean: float = 0.0
    """Subtracted from the pixels, which are in [0, 1]."""
    deviation: float = 1.0
    """By which they are divided then."""
    average_decay: float = 0.0
    """Share of the averaged parameters, which are tested, that a step keeps; 0 for no average."""
    microbatch: int | None = None
    """Images that a device takes at once, to save memory."""
    patience: int | None = None
    """Stop after that many epochs without a lower validation loss."""
    bfloat16: bool = False
    """Round what convolutions multiply to bfloat16."""


class Finished(NamedTuple):
    """A trained classifier."""

    network: "nn.Module"
    """What `build` made."""
    variables: Any
    """Of the network, as it was tested."""
    test: Any
    """Images that it was tested on, uint8 [n, H, W, C]."""
    metrics: dict[str, Any]
    """Of the test images, see `measure`."""
    report: "Report"
    """The folder of the run."""


def run(
    experiment: str,
    config: Config,
    build: Callable[[int], "nn.Module"],
    *,
    auto: str = "mnist",
    draw: Callable[[Any, Any, Any], Any] | None = None,
    only: Sequence[int] | None = None,
    limit: int | None = None,
    features: Callable[[Any], Any] | None = None,
    start: Callable[[Any], Any] = lambda variables: variables,
    adapt: Callable[[Any], Any] = lambda optimizer: optimizer,
) -> Finished:
    """Trains a classifier, tests it and draws where it is wrong.

    Args:
      experiment: name of the module that is run.
      config: its options.
      build: from the number of classes to the network, see `jaxdl.nn.classify`.
      auto: the data set that `--dataset auto` means.
      draw: `(key, images [n, H, W, C], index [B]) -> images [B, ...]`, both uint8: what is made of
        the images with these numbers, inside the training step, and once for validation and test;
        None for these images.
      only: the classes that there are, renumbered from 0; None for all.
      limit: training images that are used; None for all.
      features: from images uint8 [n, H, W, C] to what the network sees instead; None for them.
      start: from the variables of the network at random to those that it starts from.
      adapt: from the optimizer of the options to the one that is used.
    """
    import numpy as np

    from jaxdl.data.images import name_of
    from jaxdl.methods.supervised import classifier
    from jaxdl.train import optimizers, result, result_older
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report

    command.require_positive(config, "epochs", "batch", "learning_rate", "size")
    if config.patience is not None:
        command.require_positive(config, "patience")
    dataset, parts = load(config, auto, draw, only)
    config = dataclasses.replace(config, dataset=dataset)
    options = command.of_the_run(config)
    named = "-".join([experiment, *([config.preset] if hasattr(config, "preset") else []), dataset])
    report = Report(config.workdir or Path(f"runs/{named}-seed{config.seed}"))
    report.check_config(options)
    parts["train"] = tuple(leaf[:limit] for leaf in parts["train"])
    shown = parts["test"][0]
    if features:
        parts = {part: (features(images), label) for part, (images, label) in parts.items()}
    steps = config.epochs * training.epoch(len(parts["train"][1]), config.batch)
    rate = config.learning_rate
    if config.optimizer not in optimizers.OWN_RATES:
        rate = optimizers.schedule(config.schedule, rate, steps, round(config.warmup * steps))
    classes = int(parts["test"][1].max()) + 1
    settings = dataclasses.replace(command.pick(classifier.Config, config), classes=classes)
    network = build(classes)
    method = classifier.make(
        settings,
        network=network,
        optimizer=adapt(
            optimizers.build(
                config.optimizer,
                rate,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
                clip=config.clip,
            )
        ),
    )

    def init(key, batch):
        return classifier.started(method.init(key, batch), start)

    def drawn(key, part, index):
        return {"image": draw(key, part["image"], index), "label": part["label"][index]}

    predict = training.predictor(
        lambda state, images: classifier.predict(settings, network, state, images)
    )
    state = training.fit(
        method._replace(init=init),
        dict(zip(("image", "label"), parts["train"], strict=True)),
        config,
        evaluate=training.validation(predict, parts["valid"]),
        report=report,
        options=options,
        draw=training.pick if draw is None else drawn,
        independent=config.microbatch is not None,
        patience=config.patience,
    )
    images, label = parts["test"]
    log_probability = predict(state, images)
    metrics, confusion = measure(log_probability, label)
    result.write(
        report,
        experiment=experiment,
        dataset=dataset,
        protocol={
            "train": f"{len(parts['train'][1])} images of the data set's own training part",
            "test": "the data set's own test part",
            "selection": "last step" if config.patience is None else "early stopping, last step",
        },
        metrics=result_older.metrics(metrics),
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    report.write_curves(chance=1 / classes)
    names = [name_of(dataset, each) for each in only or range(classes)]
    report.save_figure(classification_pictures.draw_confusion(confusion, names), "confusion.png")
    worst = classification_pictures.draw_mistakes(shown, np.exp(log_probability), label, names)
    report.save_figure(worst, "mistakes.png")
    accuracy = metrics["accuracy"]
    print(
        f"{experiment}: {100 * accuracy['value']:.2f} ± {100 * accuracy['ci95']:.2f} % of "
        f"{len(label)} test images right, loss {metrics['loss']['value']:.4f}, expected "
        f"calibration error {100 * metrics['calibration_error']['value']:.2f} % ({dataset}, its "
        f"own test part, after step {int(state.step)}, seed {config.seed}); see {report.workdir}"
    )
    variables = classifier.tested(state)
    return Finished(network, variables, shown, metrics, report)


def load(
    config: Config,
    auto: str,
    draw: Callable[[Any, Any, Any], Any] | None = None,
    only: Sequence[int] | None = None,
) -> tuple[str, dict[str, tuple[Any, Any]]]:
    """Loads what a classifier is trained and judged on.

    Args:
      config: the options.
      auto: see `run`.
      draw: see `run`.
      only: see `run`.

    Returns:
      The name of the data set, and images uint8 [n, H, W, C] and labels int [n] of `train`, `valid`
      and `test`.
    """
    import jax
    import numpy as np

    from jaxdl.data import folds, images

    dataset, data = images.load(config.dataset, data_dir=config.data_dir, auto=auto)
    parts = {
        part: (images.resize(fields["image"], config.size), fields["label"])
        for part, fields in data.items()
    }
    if only is not None:
        for part, (shown, label) in parts.items():
            kept = np.isin(label, only)
            number = {old: new for new, old in enumerate(only)}
            renumbered = np.array([number[old] for old in label[kept].tolist()], np.int32)
            parts[part] = shown[kept], renumbered
    learned, held_out = folds.holdout(len(parts["train"][1]), config.holdout, seed=0)
    parts["valid"] = tuple(leaf[held_out] for leaf in parts["train"])
    parts["train"] = tuple(leaf[learned] for leaf in parts["train"])
    if draw:
        for number, part in enumerate(("valid", "test")):
            shown, label = parts[part]
            made = jax.jit(draw)(jax.random.key(number), shown, np.arange(len(shown)))
            parts[part] = np.asarray(made), label
    return dataset, parts


def measure(log_probability: Any, label: Any) -> tuple[dict[str, Any], Any]:
    """Judges predictions of test images.

    Args:
      log_probability: [n, A].
      label: int [n].

    Returns:
      Metrics for `result_older.metrics`, and the confusion matrix, int [A, A].
    """
    import numpy as np
    from sklearn.metrics import confusion_matrix, top_k_accuracy_score

    from jaxdl.ops import classification as ops

    classes = log_probability.shape[-1]
    probability = np.exp(log_probability)
    confusion = confusion_matrix(label, probability.argmax(-1), labels=np.arange(classes))
    precision, recall, f1 = ops.precision_recall_f1(confusion)
    right = np.diag(confusion).sum() / len(label)
    values = {
        "loss": -log_probability[np.arange(len(label)), label].mean(),
        "brier_score": np.asarray(ops.brier_score(probability, label)).mean(),
        "calibration_error": ops.reliability(probability, label).expected_calibration_error,
        "precision": precision.mean(),
        "recall": recall.mean(),
        "f1": f1.mean(),
    }
    if classes > 3:
        values["top 3 accuracy"] = top_k_accuracy_score(
            label, probability, k=3, labels=np.arange(classes)
        )
    metrics = {name: {"value": float(value)} for name, value in values.items()}
    metrics["accuracy"] = {
        "value": float(right),
        "ci95": float(1.96 * (right * (1 - right) / len(label)) ** 0.5),
        "images": len(label),
        "mistakes": int(len(label) - np.diag(confusion).sum()),
    }
    metrics["by class"] = {
        "precision": precision.tolist(),
        "recall": recall.tolist(),
        "f1": f1.tolist(),
    }
    return metrics, confusion
