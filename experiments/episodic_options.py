"""The options that few-shot experiments have in common."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

from jaxdl.train import command

# Options of the test alone: they may change with --eval-only.
OF_THE_TEST = (
    *("dataset", "episodes", "shot", "eval_queries", "eval_rotations", "eval_alphabets"),
    *("eval_inner_steps", "views"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Test(command.Processes):
    """Options of every few-shot test."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """Characters to learn from: Omniglot, or the embedded glyphs, which need no files; `auto` is
    Omniglot if it is prepared or can be downloaded, else glyphs."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default a folder of runs/ named by the
    data set, way, shot, seed and switches such as --first-order."""
    way: int = 5
    """Classes in an episode."""
    shot: int = 1
    """Labelled drawings of each class."""
    eval_queries: int = 15
    """Drawings of each class to be classified in a validation or test episode."""
    episodes: int = 1000
    """Test episodes."""
    split: Literal["random", "vinyals", "lake"] = "random"
    """Training, validation and test classes: a random 1,100/100/423 of Omniglot's characters,
    Vinyals' 1,028/172/423, or Lake's background and evaluation alphabets."""
    split_seed: int = 0
    """Which random split."""
    eval_rotations: Literal["none", "random", "classes"] = "random"
    """Of the validation and test classes: each class of an episode turned by a random multiple of
    90 degrees, or the rotations as classes of their own."""
    eval_alphabets: Literal["mixed", "one"] = "mixed"
    """Whether the classes of a validation or test episode are all of one alphabet."""
    resize: Literal["lanczos_grey", "nearest_binary"] = "lanczos_grey"
    """How 105 pixels become 28; `nearest_binary` is what published code gets from Pillow."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Test):
    """Options of every few-shot experiment that trains."""

    eval_only: bool = False
    """Test the checkpoint in the workdir, also on another data set than it was trained on."""
    checkpoint: Literal["latest", "best"] = "latest"
    """Which checkpoint --eval-only tests; best is by validation accuracy."""
    seed: int = 0
    """Of the parameters and of the training episodes; the test episodes are always the same."""
    train_way: int | None = None
    """Classes in a training episode; by default as many as in a test."""
    train_shot: int | None = None
    """Labelled drawings of each class in a training episode; by default as many as in a test."""
    queries: int = 5
    """Drawings of each class to be classified in a training episode."""
    rotations: Literal["none", "random", "classes"] = "random"
    """Of the training classes."""
    alphabets: Literal["mixed", "one"] = "mixed"
    """Whether the classes of a training episode are all of one alphabet."""
    augmentation: Literal["none", "affine"] = "none"
    """Turn, shear, stretch and move each training image a little."""
    meta_batch: int = 16
    """Tasks per outer step."""
    learning_rate: float = 3e-3
    """Of the outer loop (Adam)."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """Of the outer learning rate: how it falls to zero over all the steps, or does not."""
    steps: int = 4800
    """Outer steps."""
    eval_every: int = 600
    """Outer steps between validations, each followed by a checkpoint."""
    eval_episodes: int = 100
    """Validation episodes."""
    log_every: int = 20
    """Outer steps between lines of metrics.jsonl, and at most per call of the compiled program."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class InnerLoop(Config):
    """Options of every method that takes gradient steps on the support set."""

    network: Literal["conv4", "conv4_pooled", "mlp"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling, or 256-128-64-64."""
    normalisation: Literal["transductive", "support", "group"] = "transductive"
    """Statistics that normalise the queries in training: of the queries, of the support set, or of
    each image alone. Test accuracy is given with the first two in any case."""
    inner_lr: float = 0.4
    """Learning rate of the inner loop, on a mean loss."""
    inner_steps: int = 1
    """Inner gradient steps in training."""
    eval_inner_steps: int = 5
    """Inner gradient steps in validation and test."""
    bfloat16: bool = False
    """Round what the convolutions multiply to bfloat16, for devices that are faster with it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Differentiated(InnerLoop):
    """Options of every method that differentiates through its inner loop."""

    first_order: bool = False
    """Do not differentiate through the inner loop."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(Config):
    """Options of every method that compares queries with the support set."""

    network: Literal["conv4", "conv4_pooled", "conv4_widening"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling, with 64 channels each, or
    with 32, 64, 128 and 256, by max-pooling."""
    train_way: int = 20
    """Classes in a training episode."""
    views: int = 0
    """Distorted copies of an image whose features are averaged with its own in validation and test;
    8 with --eval-only cost nine times the test, and no training."""
    meta_batch: int = 4
    """Episodes per step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    steps: int = 3000
    """Training steps."""
    eval_every: int = 500
    """Steps between validations, each followed by a checkpoint."""


def stored(config: Config) -> dict[str, Any] | None:
    """Returns the options of the run that --eval-only is about; see `command.parse`."""
    from jaxdl.train.report import Report

    if not config.eval_only:
        return None
    options = Report(config.workdir).config() if config.workdir else None
    if options is None:
        raise ValueError(
            f"--eval-only needs a --workdir with a finished or stopped run, got {config.workdir}"
        )
    return options


def of_the_run(config: Any) -> dict[str, Any]:
    """Returns the options that define a run, as a JSON object."""
    return command.of_the_run(config, "eval_only", "checkpoint")


def folder(experiment: str, config: Config) -> Path:
    """Returns the folder of a run that was given none."""
    switched = [
        field.name if getattr(config, field.name) else f"no_{field.name}"
        for field in dataclasses.fields(config)
        if isinstance(field.default, bool)
        and field.name in of_the_run(config)
        and getattr(config, field.name) != field.default
    ]
    shape = f"{config.way}w{config.shot}s"
    return Path("runs") / "-".join(
        [experiment, config.dataset, shape, f"seed{config.seed}", *switched]
    )


def check(trained: dict[str, Any], tested: dict[str, Any], *, any_way: bool) -> None:
    """Raises ValueError unless the trained model would be tested, and on new classes.

    Args:
      trained: the options of the run.
      tested: those of the test.
      any_way: whether it can be tested with another number of classes.
    """
    free = (*OF_THE_TEST, "way") if any_way else OF_THE_TEST
    differing = [
        name
        for name in trained
        if trained[name] != tested.get(name)
        and name not in free
        # On another data set every class is new, whatever the split.
        and not (name in ("split", "split_seed") and trained["dataset"] != tested["dataset"])
    ]
    if differing:
        raise ValueError(
            f"--eval-only can change {', '.join(free)}, but not {', '.join(differing)}"
        )


def suffix(trained: dict[str, Any], tested: dict[str, Any]) -> str:
    """Returns what distinguishes the files of a test with --eval-only from those of the run."""
    parts = [tested["dataset"]]
    if any(trained[name] != tested[name] for name in ("way", "shot")):
        parts.append(f"{tested['way']}w{tested['shot']}s")
    if trained.get("views", 0) != tested.get("views", 0):
        parts.append(f"{tested['views']}views")
    return "".join(f"-{part}" for part in parts)
