"""What every few-shot experiment shares: its options, and one run from the data to the pictures."""

import dataclasses
import importlib
import json
import math
import pkgutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.methods.fewshot.learner import Learner
    from jaxdl.train.state import Method, TrainState

# Options that say how a run is used, not what it is: they may change when it is resumed.
NOT_OF_THE_RUN = ("preset", "data_dir", "workdir", "eval_only", "checkpoint")
# Options of the test alone: they may change with --eval-only.
OF_THE_TEST = (
    *("dataset", "episodes", "shot", "eval_queries", "eval_rotations", "eval_alphabets"),
    "eval_inner_steps",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Test:
    """Options of every few-shot test."""

    dataset: Literal["auto", "omniglot", "glyphs"] = "auto"
    """Characters to learn from: Omniglot, or the embedded glyphs, which need no files; `auto` is
    Omniglot if it is prepared or can be downloaded, else glyphs."""
    data_dir: Path | None = None
    """Folder of TFDS data sets; by default TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default a folder of runs/ named by the
    data set, way, shot and seed."""
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
class Built:
    """A method, ready to run."""

    method: "Method"
    """Its steps."""
    learner: "Learner"
    """How it learns one task."""
    headline: Literal["transductive", "inductive"]
    """The mode that the method is validated in, printed first."""
    any_way: bool = False
    """Whether it can be tested with another number of classes than it was made for."""


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


def build_with_inner_loop(
    method: ModuleType, config: InnerLoop, optimizer: Any, *, features: bool
) -> Built:
    """Makes a method of `jaxdl.methods.fewshot` that takes gradient steps on the support set.

    Args:
      method: its module.
      config: the options.
      optimizer: of the outer loop.
      features: whether its network ends in features rather than logits.
    """
    from jaxdl.nn.fewshot import MLP, Conv4

    way = None if features else config.way
    normalisation = "group" if config.normalisation == "group" else "batch"
    if config.network == "mlp":
        network = MLP(way, normalisation=normalisation)
    else:
        downsampling = "pooled" if config.network == "conv4_pooled" else "strided"
        network = Conv4(
            way, downsampling=downsampling, normalisation=normalisation, bfloat16=config.bfloat16
        )
    settings = command.pick(method.Config, config)
    return Built(
        method=method.make(settings, network=network, optimizer=optimizer),
        learner=method.learner(settings, network=network),
        headline="transductive" if config.normalisation == "transductive" else "inductive",
    )


def run(experiment: str, config: Config, build: Callable[[Any, Any], Built]) -> None:
    """Trains, or resumes, or only tests; writes the result and the pictures.

    Args:
      experiment: name of the module that is run.
      config: its options.
      build: from the options and the schedule of the outer learning rate.
    """
    import jax
    import jax.numpy as jnp

    from jaxdl.data import characters, episodes, pictures
    from jaxdl.data.protocol import Protocol, split_classes
    from jaxdl.train.checkpoint import Checkpoints, digest
    from jaxdl.train.evaluation import compile_evaluation
    from jaxdl.train.loop import fit
    from jaxdl.train.report import Report
    from jaxdl.train.step import compile_step, data_mesh

    command.require_positive(
        config,
        *("meta_batch", "steps", "eval_every", "eval_episodes", "log_every", "episodes"),
        "learning_rate",
    )
    dataset, data = characters.load(config.dataset, data_dir=config.data_dir, resize=config.resize)
    config = dataclasses.replace(
        config,
        dataset=dataset,
        train_way=config.train_way or config.way,
        train_shot=config.train_shot or config.shot,
    )
    protocol = command.pick(Protocol, config)
    images, alphabets = (
        split_classes(data, config.split, config.split_seed, field)
        for field in ("image", "alphabet")
    )
    for part in images:
        spec = protocol.train_spec if part == "train" else protocol.eval_spec
        spec.check(images[part], alphabets[part])
    parts = {part: jax.device_put((images[part], alphabets[part])) for part in images}

    built = build(config, schedule(config))
    mesh = data_mesh(batch=config.meta_batch)

    def sample(key, part):
        images, alphabet = part
        return episodes.sample_meta_batch(
            key, images, protocol.train_spec, config.meta_batch, alphabet
        )

    def sample_test(key, part):
        images, alphabet = part
        return episodes.sample_episode(key, images, protocol.eval_spec, alphabet)

    evaluate = compile_evaluation(
        built.method.eval_step,
        sample_test,
        per_call=mesh.size * math.ceil(20 / mesh.size),
        mesh=mesh,
    )

    def validate(state):
        measured = evaluate(state, parts["validation"], jax.random.key(1), config.eval_episodes)
        return {
            name: measured[f"{name}/{built.headline}"].mean[-1] for name in ("loss", "accuracy")
        }

    folder = f"{experiment}-{dataset}-{config.way}w{config.shot}s-seed{config.seed}"
    report = Report(config.workdir or Path("runs") / folder)
    options = options_of(config)
    trained = (report.config() or {}) if config.eval_only else options
    if config.eval_only:
        check_options(trained, options, (*OF_THE_TEST, *(["way"] if built.any_way else [])))
    else:
        report.check_config(options)
    key = jax.random.key(config.seed)
    state = jax.jit(lambda key: built.method.init(key, sample(key, parts["train"])))(key)
    with Checkpoints(report.workdir / "checkpoints") as checkpoints:
        if config.eval_only:
            best = checkpoints.best_step() if config.checkpoint == "best" else None
            state, _ = checkpoints.restore(state, best)
        else:
            steps_per_call = math.gcd(config.steps, config.eval_every, config.log_every)
            step = compile_step(
                built.method.train_step, mesh=mesh, steps_per_call=steps_per_call, sample=sample
            )
            state = fit(
                step,
                state,
                lambda _: parts["train"],
                steps=config.steps,
                steps_per_call=steps_per_call,
                evaluate=validate,
                eval_every=config.eval_every,
                log_every=config.log_every,
                checkpoints=checkpoints,
                report=report,
                metadata={"config": options, "protocol": dataclasses.asdict(protocol)},
                rate_unit=("tasks", config.meta_batch),
            )
            report.write_curves(chance=1 / config.way)

    test_key = jax.random.key(2)
    measured = evaluate(state, parts["test"], test_key, config.episodes)
    metrics = {}
    for name, moments in measured.items():
        metrics[name] = moments.at(-1)
        for index, steps in enumerate(built.learner.measured_after):
            metrics[f"{name}/after_{steps}_steps"] = moments.at(index)
    suffix = f"-{dataset}" if config.eval_only else ""
    if (config.way, config.shot) != (trained["way"], trained["shot"]):
        suffix += f"-{config.way}w{config.shot}s"
    result = report.write_result(
        f"result{suffix}.json",
        experiment=experiment,
        dataset=dataset,
        protocol=dataclasses.asdict(protocol),
        metrics=metrics,
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
    )
    episode = sample_test(test_key, parts["test"])
    logits = jax.jit(built.learner.predict)(
        state.params, state.extra, episode["support"], episode["query"]["image"]
    )
    predicted = jnp.argmax(logits[built.headline], -1)
    if len(predicted) > 1:
        pictured = {"before adaptation": predicted[0], "after adaptation": predicted[-1]}
    else:
        pictured = {built.headline: predicted[0]}
    report.save_figure(pictures.episode_figure(episode, pictured), f"episode{suffix}.png")

    other = {"transductive": "inductive", "inductive": "transductive"}[built.headline]
    shown = [
        "{:.2f} ± {:.2f} % {}".format(
            100 * result["metrics"][f"{name}/{mode}"]["mean"],
            100 * result["metrics"][f"{name}/{mode}"]["ci95"],
            mode if name == "accuracy" else name,
        )
        for name, mode in (
            ("accuracy", built.headline),
            ("accuracy", other),
            *((name, built.headline) for name in built.learner.measures),
        )
    ]
    print(f"{experiment}: {', '.join(shown)} ({protocol}); see {report.workdir}")


def schedule(config: Config) -> Callable[[Any], Any]:
    """Returns the outer learning rate as a function of the step."""
    import optax

    schedules = {
        "cosine": optax.cosine_decay_schedule(config.learning_rate, config.steps),
        "linear": optax.linear_schedule(config.learning_rate, 0.0, config.steps),
        "constant": optax.constant_schedule(config.learning_rate),
    }
    return schedules[config.schedule]


def finished(folder: Path, way: int) -> tuple[Config, Built, "TrainState"]:
    """Reads a finished few-shot run back, to classify among `way` classes with it.

    Args:
      folder: its workdir.
      way: the number of classes.

    Returns:
      Its options, its method and its state at the newest checkpoint.

    Raises:
      ValueError: there is no finished run, or its method is for another number of classes.
    """
    import jax
    import jax.numpy as jnp

    from jaxdl.train.checkpoint import Checkpoints
    from jaxdl.train.report import Report

    try:
        name = json.loads((folder / "result.json").read_text())["experiment"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    here = {found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])}
    module = importlib.import_module(f"experiments.{name}") if name in here else None
    options = Report(folder).config()
    if not options or not hasattr(module, "build"):
        raise ValueError(f"{folder} has no finished run of a few-shot experiment")
    try:
        config = dataclasses.replace(module.Config(**options), way=way)
    except TypeError as error:
        raise ValueError(f"{folder} was made by another version: {error}") from error
    built = module.build(config, schedule(config))
    if way != options["way"] and not built.any_way:
        raise ValueError(
            f"{name} in {folder} tells {options['way']} classes apart, not {way}; "
            f"train it with --way {way}, or use a method such as omniglot_protonet"
        )
    images = jax.ShapeDtypeStruct((1, way, 28, 28, 1), jnp.float32)
    batch = {"support": {"image": images}}
    template = jax.eval_shape(built.method.init, jax.random.key(0), batch)
    with Checkpoints(folder / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(template)
    return config, built, state


def options_of(config: Any) -> dict[str, Any]:
    """Returns the options that define a run, as a JSON object."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k not in NOT_OF_THE_RUN}


def check_options(trained: dict[str, Any], tested: dict[str, Any], free: Sequence[str]) -> None:
    """Raises ValueError unless the trained model would be tested, and on new classes.

    Args:
      trained: the options of the run.
      tested: those of the test.
      free: which may differ.
    """
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
