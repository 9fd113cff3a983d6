"""What every few-shot experiment shares: one run from the data to the pictures."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from experiments import episodic_options
from experiments.episodic_options import Config, InnerLoop, Metric, Test
from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.data.protocol import Protocol
    from jaxdl.methods.fewshot.learner import Learner
    from jaxdl.train.evaluation import Evaluate
    from jaxdl.train.state import Method, TrainState


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


def build_with_inner_loop(
    method: ModuleType, config: InnerLoop, rate: Any, *, features: bool = False
) -> Built:
    """Makes a method of `jaxdl.methods.fewshot` that takes gradient steps on the support set.

    Args:
      method: its module.
      config: the options.
      rate: of Adam, in the outer loop.
      features: whether its network ends in features rather than logits.
    """
    import optax

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
        method=method.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=method.learner(settings, network=network),
        headline="transductive" if config.normalisation == "transductive" else "inductive",
    )


def build_metric(method: ModuleType, config: Metric, rate: Any, **settings: Any) -> Built:
    """Makes a method of `jaxdl.methods.fewshot` that compares queries with the support set.

    Args:
      method: its module.
      config: the options.
      rate: of Adam.
      **settings: of the method, which are no options.
    """
    import optax

    from jaxdl.nn.fewshot import Conv4

    networks = {
        "conv4": Conv4(),
        "conv4_pooled": Conv4(downsampling="pooled"),
        "conv4_widening": Conv4(features=(32, 64, 128, 256), downsampling="pooled"),
    }
    network = networks.get(config.network)  # None for the method's own
    settings = dataclasses.replace(command.pick(method.Config, config), **settings)
    return Built(
        method=method.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=method.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


def load(config: Test) -> tuple[Any, "Protocol", dict[str, Any]]:
    """Reads the characters.

    Returns:
      The options, completed; the protocol that they say; and `train`, `validation` and `test`, each
      the images and the alphabets of its classes, on the device.
    """
    import jax

    from jaxdl.data import characters
    from jaxdl.data.protocol import Protocol, split_classes

    command.require_positive(config, "episodes")
    dataset, data = characters.load(config.dataset, data_dir=config.data_dir, resize=config.resize)
    config = dataclasses.replace(config, dataset=dataset)
    if isinstance(config, Config):
        config = dataclasses.replace(
            config,
            train_way=config.train_way or config.way,
            train_shot=config.train_shot or config.shot,
        )
    protocol = command.pick(Protocol, config)
    images, alphabets = (
        split_classes(data, config.split, config.split_seed, field)
        for field in ("image", "alphabet")
    )
    if isinstance(config, Config) and not config.eval_only:
        protocol.train_spec.check(images["train"], alphabets["train"])
        protocol.eval_spec.check(images["validation"], alphabets["validation"])
    protocol.eval_spec.check(images["test"], alphabets["test"])
    parts = {part: jax.device_put((images[part], alphabets[part])) for part in images}
    return config, protocol, parts


def evaluation(
    eval_step: Callable[[Any, Any], Any], protocol: "Protocol", mesh: Any, *, at_once: int = 20
) -> tuple["Evaluate", Callable[[Any, Any], Any]]:
    """Compiles the test of a protocol.

    Args:
      eval_step: see `jaxdl.train.evaluation.compile_evaluation`.
      protocol: whose test it is.
      mesh: the devices that share its episodes.
      at_once: episodes of one compiled call, at least.

    Returns:
      `evaluate`, and `(key, part) -> episode`, which draws one of its episodes.
    """
    from jaxdl.data import episodes
    from jaxdl.train.evaluation import compile_evaluation

    def sample(key, part):
        images, alphabet = part
        return episodes.sample_episode(key, images, protocol.eval_spec, alphabet)

    per_call = mesh.size * math.ceil(at_once / mesh.size)
    return compile_evaluation(eval_step, sample, per_call=per_call, mesh=mesh), sample


def run(experiment: str, config: Config, build: Callable[[Any, Any], Built]) -> None:
    """Trains, or resumes, or only tests; writes the result and the pictures.

    Args:
      experiment: name of the module that is run.
      config: its options.
      build: from the options and the schedule of the outer learning rate.
    """
    import jax

    from jaxdl.data import episodes, pictures
    from jaxdl.train import result
    from jaxdl.train.checkpoint import Checkpoints
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report
    from jaxdl.train.step import data_mesh
    from jaxdl.train.training import train

    command.require_positive(
        config,
        *("meta_batch", "steps", "eval_every", "eval_episodes", "log_every"),
        "learning_rate",
    )
    config, protocol, parts = load(config)
    built = build(config, schedule(config))

    def sample(key, part):
        images, alphabet = part
        batch = episodes.sample_meta_batch(
            key, images, protocol.train_spec, config.meta_batch, alphabet
        )
        return episodes.distort(key, batch) if config.augmentation == "affine" else batch

    evaluate, draw = evaluation(
        built.method.eval_step, protocol, data_mesh(batch=config.meta_batch)
    )

    def validate(state):
        measured = evaluate(state, parts["validation"], jax.random.key(1), config.eval_episodes)
        return {
            name: measured[f"{name}/{built.headline}"].mean[-1] for name in ("loss", "accuracy")
        }

    report = Report(config.workdir or episodic_options.folder(experiment, config))
    options = episodic_options.of_the_run(config)
    if config.eval_only:
        trained = report.config() or {}
        episodic_options.check(trained, options, any_way=built.any_way)
        template = jax.eval_shape(
            lambda key: built.method.init(key, sample(key, parts["train"])), jax.random.key(0)
        )
        with Checkpoints(report.workdir / "checkpoints") as checkpoints:
            best = checkpoints.best_step() if config.checkpoint == "best" else None
            state, _ = checkpoints.restore(template, best)
    else:
        report.check_config(options)
        state = train(
            built.method,
            sample,
            parts["train"],
            batch=config.meta_batch,
            unit="tasks",
            seed=config.seed,
            steps=config.steps,
            steps_per_call=math.gcd(config.steps, config.eval_every, config.log_every),
            evaluate=validate,
            eval_every=config.eval_every,
            log_every=config.log_every,
            report=report,
            metadata={"config": options, "protocol": dataclasses.asdict(protocol)},
            score="accuracy",
        )
        report.write_curves(chance=1 / config.way)

    test_key = jax.random.key(2)
    measured = evaluate(state, parts["test"], test_key, config.episodes)
    suffix = episodic_options.suffix(trained, options) if config.eval_only else ""
    written = result.write(
        report,
        name=f"result{suffix}.json",
        experiment=experiment,
        dataset=config.dataset,
        protocol=dataclasses.asdict(protocol),
        metrics=_after_steps(measured, built.learner.measured_after),
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    episode = draw(test_key, parts["test"])
    figure = pictures.episode_figure(episode, _predicted(built, state, episode))
    report.save_figure(figure, f"episode{suffix}.png")
    print(f"{experiment}: {_shown(built, written['metrics'])} ({protocol}); see {report.workdir}")


def _after_steps(measured: Any, steps: Sequence[int]) -> dict[str, Any]:
    """Returns every measure as the inner loop leaves it, and after each number of its steps."""
    metrics = {}
    for name, moments in measured.items():
        metrics[name] = moments.at(-1)
        for index, taken in enumerate(steps):
            metrics[f"{name}/after_{taken}_steps"] = moments.at(index)
    return metrics


def _predicted(built: Built, state: "TrainState", episode: Any) -> dict[str, Any]:
    """Returns the predicted labels of the queries, before and after adaptation if there is any."""
    import jax

    images = episode["query"]["image"]
    logits = jax.jit(built.learner.predict)(state.params, state.extra, episode["support"], images)
    labels = logits[built.headline].argmax(-1)
    if len(labels) == 1:
        return {built.headline: labels[0]}
    return {"before adaptation": labels[0], "after adaptation": labels[-1]}


def _shown(built: Built, metrics: Any) -> str:
    """Returns the accuracy in both modes, and what else the method measures, for a person."""
    other = {"transductive": "inductive", "inductive": "transductive"}[built.headline]
    names = [(f"accuracy/{mode}", mode) for mode in (built.headline, other)]
    names += [(f"{name}/{built.headline}", name) for name in built.learner.measures]
    return ", ".join(
        f"{100 * metrics[name]['mean']:.2f} ± {100 * metrics[name]['ci95']:.2f} % {label}"
        for name, label in names
    )


def schedule(config: Config) -> Callable[[Any], Any]:
    """Returns the outer learning rate as a function of the step."""
    from jaxdl.train import optimizers

    return optimizers.schedule(config.schedule, config.learning_rate, config.steps)
