"""Model-agnostic meta-learning (Finn, Abbeel and Levine, 2017, arXiv 1703.03400).

An initialisation is learned from which a few gradient steps on a task's support set give a good
classifier for its queries; the meta-gradient goes through those steps.

Shapes: T tasks, N ways, K shots, Q queries per way, H W C image, S inner steps.
A batch is `{"support": {"image": [T, N*K, H, W, C], "label": [T, N*K]}, "query": {...}}`, the query
with Q for K, and, for evaluation, `"weight": [T]`, 0 for a task that is only padding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step, map_examples

Normalisation = Literal["transductive", "support", "group"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines MAML; the defaults are the paper's for 5-way Omniglot."""

    way: int = 5
    """Classes in a task (N)."""
    inner_lr: float = 0.4
    """Learning rate of the inner loop, whose loss is a mean over the support set. (The authors'
    code takes the sum over the N classes, which is the same as N times this rate.)"""
    inner_steps: int = 1
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 10
    """Inner gradient steps in evaluation; the accuracy is measured after each of them."""
    first_order: bool = False
    """Treat the inner gradient as a constant (FOMAML)."""
    normalisation: Normalisation = "transductive"
    """How queries are normalised in training: with the statistics of all the queries of the task
    (transductive, as published), with those of the support set, which is inductive, or each image
    by itself (group)."""
    remat: bool = True
    """Recompute an inner step's activations in the backward pass when there are several steps, for
    a third of the memory."""
    tasks_at_once: int = 0
    """Tasks that a device works on at the same time; 0 for what is fastest: one on a CPU, whose
    cache holds little more, and all of them elsewhere."""


def adapt(
    loss_fn: Callable[[Any, Any], jax.Array],
    params: Any,
    support: Any,
    *,
    lr: float,
    steps: int,
    first_order: bool = False,
    remat: bool = False,
) -> Any:
    """Takes gradient steps on the support set: the inner loop (paper, equation 1).

    Args:
      loss_fn: `(params, support) -> scalar`.
      params: any pytree of arrays.
      support: whatever `loss_fn` wants.
      lr: learning rate of every step.
      steps: number of steps, 0 or more.
      first_order: stop the gradient of the inner gradient, not of the adapted parameters, so that
        the derivative with respect to `params` is the query gradient at the adapted parameters.
      remat: recompute a step's activations in the backward pass instead of keeping them.

    Returns:
      The adapted parameters, of the structure of `params`.

    >>> adapt(lambda w, x: 0.5 * (x @ w) ** 2, jnp.ones(2), jnp.array([1.0, 3.0]), lr=0.25, steps=1)
    Array([ 0., -2.], dtype=float32)
    """

    def step(params, _):
        gradient = jax.grad(loss_fn)(params, support)
        if first_order:
            gradient = jax.lax.stop_gradient(gradient)
        return jax.tree.map(lambda p, g: p - lr * g, params, gradient), None

    if steps == 1:
        # A loop of one would be unrolled, but too late for XLA to see its convolutions.
        return step(params, None)[0]
    body = jax.checkpoint(step) if remat else step
    return jax.lax.scan(body, params, None, length=steps)[0]


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the meta-training and evaluation steps.

    Args:
      config: the method's settings.
      network: maps images [B, H, W, C] to logits [B, N] and takes `use_running_average`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 of the paper.
      optimizer: of the outer loop. None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose evaluation gives, for s = 0 ... `eval_inner_steps`, `accuracy/transductive`,
      `accuracy/inductive` and `loss` (of the transductive predictions): Moments over tasks,
      each [S + 1].

    Raises:
      ValueError: when a setting is out of its range.
    """
    if config.way < 2 or config.inner_steps < 0 or config.eval_inner_steps < 0:
        raise ValueError(f"way must be at least 2 and inner steps 0 or more, got {config}")
    if config.tasks_at_once < 0:
        raise ValueError(f"tasks_at_once must be 0 or more, got {config.tasks_at_once}")
    if not config.inner_lr > 0:
        raise ValueError(f"the inner learning rate must be positive, got {config.inner_lr}")
    network = network or default_network(config)
    optimizer = optimizer or optax.adam(1e-3)
    inductive = config.normalisation == "support"
    at_once = config.tasks_at_once or (1 if jax.default_backend() == "cpu" else None)

    def task_loss(params, task):
        adapted = adapt(
            support_loss(network),
            params,
            task["support"],
            lr=config.inner_lr,
            steps=config.inner_steps,
            first_order=config.first_order,
            remat=config.remat,
        )
        images, label = task["query"]["image"], task["query"]["label"]
        logits = classify(network, adapted, task["support"], images, inductive=inductive)
        return cross_entropy(logits, label), accuracy(logits, label)

    def loss(params, extra, key, batch):
        del key
        values, accuracies = map_examples(task_loss)(params, tasks(batch))
        return values.mean(), (extra, {"accuracy": accuracies.mean()})

    predict = predictor(config, network=network)

    def evaluate_task(params, task):
        label = task["query"]["label"]
        logits = predict(params, task["support"], task["query"]["image"])
        accuracies = {
            f"accuracy/{mode}": jax.vmap(accuracy, (0, None))(logits[mode], label)
            for mode in ("transductive", "inductive")
        }
        return accuracies | {
            "loss": jax.vmap(cross_entropy, (0, None))(logits["transductive"], label)
        }

    def init(key: jax.Array, batch: Any) -> TrainState:
        parameter_key, state_key = jax.random.split(key)
        params = network.init(parameter_key, batch["support"]["image"][0])["params"]
        return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params), (), state_key)

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        values = map_examples(evaluate_task, microbatch=at_once)(state.params, tasks(batch))
        return {name: Moments.of(value, batch["weight"]) for name, value in values.items()}

    train_step = gradient_step(loss, optimizer, axis_name=axis_name, microbatch=at_once)
    return Method(init, train_step, eval_step)


def predictor(
    config: Config, *, network: nn.Module | None = None
) -> Callable[[Any, Any, jax.Array], dict[str, jax.Array]]:
    """Makes the function that learns a new task and classifies with it.

    Args:
      config: the method's settings.
      network: as in `make`.

    Returns:
      `predict(params, support, images) -> {"inductive": logits, "transductive": logits}` for one
      task: support `{"image": [N*K, H, W, C], "label": [N*K]}`, queries [B, H, W, C], logits
      [S + 1, B, N] after 0 ... `eval_inner_steps` steps. An inductive prediction depends on no
      other query: the queries are normalised with the statistics of the support set; a
      transductive one with those of all the queries together.
    """
    network = network or default_network(config)

    def predict(params: Any, support: Any, images: jax.Array) -> dict[str, jax.Array]:
        def step(params, _):
            logits = {
                "inductive": classify(network, params, support, images, inductive=True),
                "transductive": classify(network, params, support, images, inductive=False),
            }
            return adapt(
                support_loss(network), params, support, lr=config.inner_lr, steps=1
            ), logits

        # The last adaptation is for nothing; it costs less than a second copy of `classify` does
        # in compilation.
        return jax.lax.scan(step, params, None, length=config.eval_inner_steps + 1)[1]

    return predict


def default_network(config: Config) -> nn.Module:
    """Returns the paper's network: Conv4 with strides, normalised as the config says."""
    return Conv4(config.way, normalisation="group" if config.normalisation == "group" else "batch")


def support_loss(network: nn.Module) -> Callable[[Any, Any], jax.Array]:
    """Returns `(params, support) -> scalar`: the loss of the inner loop."""

    def loss(params, support):
        logits, _ = network.apply({"params": params}, support["image"], mutable=["batch_stats"])
        return cross_entropy(logits, support["label"])

    return loss


def classify(
    network: nn.Module, params: Any, support: Any, images: jax.Array, *, inductive: bool
) -> jax.Array:
    """Returns the logits [B, N] of images [B, H, W, C] under adapted parameters.

    The statistics are those of the support set when `inductive`, else those of the images.
    """
    apply = partial(network.apply, mutable=["batch_stats"])
    if not inductive:
        return apply({"params": params}, images)[0]
    _, statistics = apply({"params": params}, support["image"])
    return network.apply({"params": params, **statistics}, images, use_running_average=True)


def tasks(batch: Any) -> dict[str, Any]:
    """Returns the part of a batch that belongs to its tasks, one by one."""
    return {"support": batch["support"], "query": batch["query"]}


def cross_entropy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the mean cross-entropy, in nats, of logits [B, N] and labels [B]."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()


def accuracy(logits: jax.Array, label: jax.Array) -> jax.Array:
    """Returns the share of the labels [B] that have the largest logit [B, N]."""
    return (logits.argmax(-1) == label).mean()
