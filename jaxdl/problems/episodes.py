"""Few-shot classification: episodes of characters, new classes in validation and test.

Shapes: N ways, K shots, B images, H W image.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from jaxdl.data import characters, episodes, pictures
from jaxdl.data.images import checked, unit
from jaxdl.data.protocol import Protocol, split_classes
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import options, run
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import types_of
from jaxdl.train.evaluation import Evaluate, compile_evaluation, map_batches
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.report import Report
from jaxdl.train.result import of_moments, percent
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import data_mesh
from jaxdl.train.trained import Trained

Dataset = Literal["omniglot", "glyphs"]
TEST_KEY = 2  # the test episodes are the same for all methods and seeds
# What a test may change, with --eval-only, of a run that was trained otherwise.
OF_THE_TEST = (
    *("dataset", "episodes", "shot", "eval_queries", "eval_rotations", "eval_alphabets"),
    *("eval_inner_steps", "views"),
)


class Parts(dict[str, tuple[Any, Any]]):
    """`train`, `validation` and `test`: images [C, D, H, W] and alphabets [C]."""

    def check(self, own: Protocol, *, trains: bool) -> "Parts":
        """Returns them on the device.

        Raises:
          ValueError: they do not suffice for the protocol's episodes, of the test or of all.
        """
        if trains:
            own.train_spec.check(*self["train"])
            own.eval_spec.check(*self["validation"])
        own.eval_spec.check(*self["test"])
        return Parts(jax.device_put(dict(self)))


def read(config: configs.Characters) -> tuple[Dataset, Parts]:
    """Reads the characters; returns the name of the data set and its classes by part.

    Raises:
      ValueError: they cannot be had.
    """
    options.require_positive(config, "episodes")
    name, data = characters.load(config.dataset, data_dir=config.data_dir, resize=config.resize)
    images, alphabets = (
        split_classes(data, config.split, config.split_seed, field)
        for field in ("image", "alphabet")
    )
    dataset: Dataset = "glyphs" if name == "glyphs" else "omniglot"
    return dataset, Parts({part: (images[part], alphabets[part]) for part in images})


def protocol(
    config: configs.Characters, dataset: str, method: Mapping[str, Any] | None = None
) -> Protocol:
    """Returns the protocol that the options say, completed by what the method's says."""
    said = {**vars(config), "dataset": dataset, **(method or {})}
    return options.told(Protocol(dataset=dataset), said)


def load(config: configs.Episodes, *, tasks: int, trains: bool = True) -> Problem:
    """Reads the characters and says how episodes are drawn and judged.

    Args:
      config: the options.
      tasks: episodes of a training step.
      trains: whether there will be a training; else the training classes need not suffice.

    Returns:
      The problem; its facts are `way`, `train_way`, `classes`, all training classes, and `rotated`.

    Raises:
      ValueError: the characters cannot be had, or are too few for an episode.
    """
    options.require_positive(config, "eval_episodes")
    dataset, parts = read(config)
    config = dataclasses.replace(
        config,
        dataset=dataset,
        train_way=config.train_way or config.way,
        train_shot=config.train_shot or config.shot,
    )
    own = protocol(config, dataset)
    parts = parts.check(own, trains=trains)

    def sample(key, part):
        images, alphabet = part
        batch = episodes.sample_meta_batch(key, images, own.train_spec, tasks, alphabet)
        return episodes.distort(key, batch) if config.augmentation == "affine" else batch

    def evaluation(method):
        # Validation and test share one program.
        if (known := compiled.get(method.eval_step)) is None:
            known = evaluate(method.eval_step, own, data_mesh(batch=tasks))
            compiled[method.eval_step] = known
        return known

    compiled: dict[Any, tuple[Evaluate, Any]] = {}

    def validate(method):
        measure, _ = evaluation(method)
        mode = headline(method)

        def of(state):
            key = jax.random.key(1)
            found = measure(state, parts["validation"], key, config.eval_episodes)
            return {name: found[f"{name}/{mode}"].mean for name in ("loss", "accuracy")}

        return of

    def test(method):
        measure, draw = evaluation(method)
        whole = protocol(config, dataset, method.protocol)
        return lambda state: judge(method, state, measure, draw, parts["test"], whole)

    return Problem(
        dataset=dataset,
        config=config,
        facts={
            "way": config.way,
            "train_way": config.train_way,
            "classes": len(parts["train"][0]),
            "rotated": config.rotations != "none",
        },
        data=parts["train"],
        sample=sample,
        size=tasks,
        unit="tasks",
        validate=validate,
        test=test,
        protocol=dataclasses.asdict(own),
    )


def evaluate(
    eval_step: Callable[[Any, Any], Any], own: Protocol, mesh: Any, *, at_once: int = 20
) -> tuple[Evaluate, Callable[[Any, Any], Any]]:
    """Compiles the test of a protocol.

    Args:
      eval_step: see `jaxdl.train.evaluation.compile_evaluation`.
      own: the protocol whose test it is.
      mesh: the devices that share its episodes.
      at_once: episodes of one compiled call, at least.

    Returns:
      The evaluation, and `(key, part) -> episode`, which draws one of its episodes.
    """

    def draw(key, part):
        images, alphabet = part
        return episodes.sample_episode(key, images, own.eval_spec, alphabet)

    per_call = mesh.size * math.ceil(at_once / mesh.size)
    return compile_evaluation(eval_step, draw, per_call=per_call, mesh=mesh), draw


def judge(
    method: Method,
    state: TrainState,
    measure: Evaluate,
    draw: Callable[[Any, Any], Any],
    part: Any,
    own: Protocol,
) -> Measured:
    """Tests a state on episodes of new classes, and shows the first."""
    key = jax.random.key(TEST_KEY)
    found = measure(state, part, key, own.episodes)
    metrics = {name: of_moments(moments) for name, moments in found.items()}
    mode = headline(method)
    other = "inductive" if mode == "transductive" else "transductive"
    shown = [(f"accuracy/{each}", each) for each in (mode, other)]
    measures = {name.partition("/")[0] for name in metrics} - {"accuracy", "loss"}
    shown += [(f"{name}/{mode}", name) for name in sorted(measures)]
    says = ", ".join(f"{percent(metrics[name])} % {label}" for name, label in shown)

    def figure():
        episode = draw(key, part)
        one = jax.tree.map(lambda leaf: leaf[None], episode)
        predicted = {
            name: np.asarray(logits[0].argmax(-1))
            for name, logits in jax.jit(method.predict)(state, one).items()
        }
        if f"{mode} before" not in predicted:
            return pictures.episode_figure(episode, {mode: predicted[mode]})
        steps = {
            "before adaptation": predicted[f"{mode} before"],
            "after adaptation": predicted[mode],
        }
        return pictures.episode_figure(episode, steps)

    return Measured(metrics, f"{says} ({own})", {"episode.png": figure})


def headline(method: Method) -> str:
    """Returns the mode that a method is validated in, the one that it is trained in."""
    trained = method.protocol.get("normalisation")
    return "transductive" if trained == "transductive" else "inductive"


def experiment(name: str, config: Any, make: Callable[[Any, Mapping[str, Any]], Method]) -> None:
    """Trains, or resumes, or only tests, as the options of a few-shot experiment say.

    Args:
      name: of the experiment's module.
      config: `configs.FewShot` with `problem`, `training` and `method`.
      make: from the options and the problem's facts to the method.
    """
    options.require_positive(
        config, "meta_batch", "steps", "eval_every", "log_every", "learning_rate"
    )
    training = config.training
    problem = load(config.problem, tasks=training.meta_batch, trains=not config.eval_only)
    config = dataclasses.replace(config, problem=problem.config)
    method = make(config, problem.facts)
    if config.eval_only:
        _test(name, config, problem, method, make)
        return
    run.experiment(
        run.open(name, config, folder(name, config), *configs.OF_THE_USE),
        method,
        problem,
        pace=training.pace,
        score="accuracy",
        chance=1 / config.problem.way,
    )


def folder(name: str, config: Any) -> Path:
    """Returns the folder of a run that was given none."""
    shape = f"{config.problem.way}w{config.problem.shot}s"
    parts = [name, config.problem.dataset, shape, f"seed{config.seed}"]
    return Path("runs") / "-".join([*parts, *options.switches(config, *configs.OF_THE_USE)])


def _test(name: str, config: Any, problem: Problem, method: Method, make: Any) -> None:
    """Tests the checkpoint of a run in files of their own."""
    report = Report(config.workdir)
    chosen = options.of_the_run(config, *configs.OF_THE_USE)
    defaults = options.of_the_run(type(config)(), *configs.OF_THE_USE)
    trained = {**defaults, **(report.config() or {})}
    batch = jax.eval_shape(problem.sample, jax.random.key(0), problem.data)

    def template(facts):
        return jax.eval_shape(make(config, facts).init, jax.random.key(0), batch)

    fits = same(template(problem.facts), template({**problem.facts, "way": trained["way"]}))
    check(trained, chosen, any_way=fits)
    with Checkpoints(report.workdir / "checkpoints") as checkpoints:
        best = checkpoints.best_step() if config.checkpoint == "best" else None
        state, _ = checkpoints.restore(template(problem.facts), best)
    run.finish(
        run.Run(name, report, chosen, config.seed),
        problem.test(method)(state),
        dataset=problem.dataset,
        protocol={**problem.protocol, **method.protocol},
        state=state,
        suffix=suffix(trained, chosen),
    )


def same(one: Any, other: Any) -> bool:
    """Says whether two pytrees have the same structure, shapes and types."""
    return types_of(one) == types_of(other)


def check(trained: Mapping[str, Any], tested: Mapping[str, Any], *, any_way: bool) -> None:
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


def suffix(trained: Mapping[str, Any], tested: Mapping[str, Any]) -> str:
    """Returns what distinguishes the files of a test with --eval-only from those of the run."""
    parts = [tested["dataset"]]
    if any(trained[name] != tested[name] for name in ("way", "shot")):
        parts.append(f"{tested['way']}w{tested['shot']}s")
    if trained.get("views", 0) != tested.get("views", 0):
        parts.append(f"{tested['views']}views")
    return "".join(f"-{part}" for part in parts)


class Classifier(Trained):
    """A trained few-shot method, to tell classes apart from a few examples of each."""

    def __init__(self, make: Any, state: TrainState, **about: Any):
        """Wraps a state; see `Trained`."""
        super().__init__(make, state, **about)
        self._of_way: dict[int, Method] = {}

    def predict(self, support: tuple[Any, Any], images: Any) -> np.ndarray:
        """Returns the probability of each class, [B, N]; no image's depends on another's.

        Args:
          support: the examples, images [N*K, H, W] or [N*K, H, W, 1] as uint8 or as numbers from 0
            to 1, ink being high, and their labels [N*K], 0 to N - 1.
          images: [B, H, W] or [B, H, W, 1], the same.

        Raises:
          ValueError: images are of another size than those of the training, labels are not 0 to
            N - 1, or the method tells another number of classes apart.
        """
        shown, label = self._images(support[0]), np.asarray(support[1], np.int32)
        images = self._images(images)
        there = np.unique(label)
        if label.shape != shown.shape[:1] or there.tolist() != list(range(len(there))):
            raise ValueError(
                f"expected a label from 0 to N - 1 for each of {len(shown)} examples, with an "
                f"example of each class, got {label.tolist()}"
            )
        known = {"image": shown, "label": label}
        method = self.for_classes(len(there))

        def inductive(part):
            task = {"support": known, "query": {"image": part}}
            one = jax.tree.map(lambda leaf: leaf[None], task)
            return jax.nn.softmax(self.compiled(method)(self.state, one)["inductive"][0])

        return map_batches(inductive, images, self.at_once)

    def _images(self, images: Any) -> np.ndarray:
        shape = self.batch["support"]["image"].shape[2:]
        return unit(checked(images, shape)).astype(np.float32)

    def for_classes(self, way: int) -> Method:
        """Returns the method for that number of classes.

        Raises:
          ValueError: its parameters are those of another number.
        """
        if way == self.facts["way"]:
            return self.method
        if way not in self._of_way:
            method = self.make({**self.facts, "way": way})
            template = jax.eval_shape(method.init, jax.random.key(0), self.batch)
            if not same(template.params, self.state.params):
                raise ValueError(
                    f"the run tells {self.facts['way']} classes apart, not {way}; train it with "
                    f"--way {way}, or use a method such as omniglot_protonet"
                )
            self._of_way[way] = method
        return self._of_way[way]
