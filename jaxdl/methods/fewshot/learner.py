"""What all few-shot methods share: from learning one task to a method's three steps.

Shapes: T tasks, N ways, K shots, Q queries per way, B images, H W C image, M measurements.
A task is `{"support": {"image": [N*K, H, W, C], "label": [N*K]}, "query": {...}}`, the query with
Q for K; it may also say which of all classes its own are, `"class": [N]`, and how they are turned,
`"rotation": [N]`. A batch is the same with a leading axis T and, for evaluation, `"weight": [T]`, 0
for a task that is only padding.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot.configs import Settings
from jaxdl.nn.norm import own_statistics
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step, map_examples

MODES = ("transductive", "inductive")
Logits = dict[str, jax.Array]
ADAM = optax.adam(1e-3)


class Learner(NamedTuple):
    """How a method learns one task, as pure functions; what every `learner` returns."""

    init: Callable[[jax.Array, jax.Array], tuple[Any, Any]]
    """`(key, images [B, H, W, C]) -> (params, extra)`; see `TrainState`."""
    loss: Callable[[Any, Any, jax.Array, Any], tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]
    """`(params, extra, key, task) -> (scalar, (extra, metrics))`: what training makes small."""
    predict: Callable[[Any, Any, Any, jax.Array], Logits]
    """`(params, extra, support, images) -> {"inductive": logits, "transductive": logits}`.

    Logits are [M, B, N], as M numbers of inner steps leave them. An inductive prediction depends on
    no other query; a transductive one uses the normalisation statistics of all queries."""
    measured_after: tuple[int, ...] = (0,)
    """Those numbers of inner steps; the last is the one that counts."""
    measures: Mapping[str, Callable[[jax.Array, jax.Array], jax.Array]] = MappingProxyType({})
    """What else is measured in evaluation: `(logits [B, N], label [B]) -> scalar` by name."""


def maker(
    learner: Callable[..., Learner],
    optimizer: optax.GradientTransformation = ADAM,
) -> Callable[..., Method]:
    """Makes the function `make` of a method.

    Args:
      learner: `(config, network=...) -> Learner`, the method's own.
      optimizer: what `make` takes when it is given none.
    """
    default = optimizer

    def make(
        config: Settings,
        *,
        network: nn.Module | None = None,
        optimizer: optax.GradientTransformation | None = None,
        axis_name: str | None = None,
    ) -> Method:
        """Makes the training and evaluation steps.

        Args:
          config: the method's settings.
          network: see the method's `learner`; None for the paper's.
          optimizer: of the outer loop. None for the method's own: Adam at 1e-3, but in Reptile.
          axis_name: see `jaxdl.train.step.gradient_step`.

        Returns:
          A Method whose examples are tasks. It predicts `inductive` and `transductive`, logits
          [T, B, N], and, if there is an inner loop, `inductive before` and `transductive before`
          it. Its evaluation gives `accuracy/transductive`, `accuracy/inductive`, the same of `loss`
          and of the learner's own measures, and each `/after_S_steps` of the inner loop.

        Raises:
          ValueError: when a setting is out of its range.
        """
        names = ("normalisation", "inner_steps", "eval_inner_steps", "views")
        protocol = {name: getattr(config, name) for name in names if hasattr(config, name)}
        return _method(
            learner(config, network=network),
            optimizer or default,
            axis_name,
            config.tasks_at_once,
            protocol,
        )

    return make


def _method(
    learner: Learner,
    optimizer: optax.GradientTransformation,
    axis_name: str | None,
    tasks_at_once: int,
    protocol: Mapping[str, Any],
) -> Method:
    if tasks_at_once < 0:
        raise ValueError(f"tasks_at_once must be 0 or more, got {tasks_at_once}")
    at_once = tasks_at_once or (1 if jax.default_backend() == "cpu" else None)

    def of_task(shared, example):
        params, extra = shared
        return learner.loss(params, extra, example["key"], example["task"])

    def loss(params, extra, key, batch):
        count = batch["support"]["label"].shape[0]
        examples = {"key": jax.random.split(key, count), "task": tasks(batch)}
        values, (extras, metrics) = map_examples(of_task)((params, extra), examples)
        metrics = jax.tree.map(lambda metric: metric.mean(0), metrics)
        return values.mean(), (jax.tree.map(_mean_or_first, extras), metrics)

    def predict_task(shared, task):
        found = learner.predict(*shared, task["support"], task["query"]["image"])
        last = {mode: logits[-1] for mode, logits in found.items()}
        if len(learner.measured_after) == 1:
            return last
        return last | {f"{mode} before": logits[0] for mode, logits in found.items()}

    def evaluate_task(shared, task):
        label = task["query"]["label"]
        logits = learner.predict(*shared, task["support"], task["query"]["image"])
        measures = {"accuracy": accuracy, "loss": cross_entropy, **learner.measures}
        return {
            f"{name}/{mode}": jax.vmap(measure, (0, None))(logits[mode], label)
            for name, measure in measures.items()
            for mode in MODES
        }

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        params, extra = learner.init(parameter_key, batch["support"]["image"][0])
        return TrainState.start(params, optimizer, extra, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        shared = state.params, state.extra
        return map_examples(predict_task, microbatch=at_once)(shared, tasks(inputs))

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        measured = map_examples(evaluate_task, microbatch=at_once)(
            (state.params, state.extra), tasks(batch)
        )
        found = {}
        for name, values in measured.items():
            moments = Moments.of(values, batch["weight"])
            found[name] = moments.at(-1)
            for index, steps in enumerate(learner.measured_after):
                found[f"{name}/after_{steps}_steps"] = moments.at(index)
        return found

    train_step = gradient_step(loss, optimizer, axis_name=axis_name, microbatch=at_once)
    return Method(init, train_step, predict, eval_step, protocol)


def embed(
    network: nn.Module, params: Any, support: jax.Array, images: jax.Array, *, inductive: bool
) -> jax.Array:
    """Returns the network's outputs [B, D] of images [B, H, W, C].

    They are normalised with the statistics of the support set's images when `inductive`, else with
    their own.
    """
    if not inductive:
        return outputs(network, params, images)
    with own_statistics():
        _, statistics = network.apply(
            {"params": params}, support, train=True, mutable=["batch_stats"]
        )
    return network.apply({"params": params, **statistics}, images)


def outputs(network: nn.Module, params: Any, images: jax.Array) -> jax.Array:
    """Returns the network's outputs [B, D] of images, normalised with their own statistics."""
    return network.apply({"params": params}, images, train=True, mutable=["batch_stats"])[0]


def tasks(batch: Any) -> dict[str, Any]:
    """Returns the part of a batch that belongs to its tasks, one by one."""
    return {
        part: batch[part] for part in ("support", "query", "class", "rotation") if part in batch
    }


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the mean cross-entropy, in nats, of logits [B, N] and labels [B]."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()


def accuracy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the share of the labels [B] that have the largest logit [B, N]."""
    return (logits.argmax(-1) == label).mean()


def _mean_or_first(leaf: jax.Array) -> jax.Array:
    """Returns one value for all tasks: their mean, or, of counters and keys, the first."""
    return leaf.mean(0) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf[0]
