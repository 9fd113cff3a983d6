"""Knowledge distillation: a student learns from frozen teachers (Hinton et al., 2015).

Teacher and student see the same images in one compiled step. The teachers' outputs may also come
with the batch, from a cache.

Shapes: B batch, H W image, C channels, A classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.nn.classify import MLP
from jaxdl.ops import distillation as ops
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step

FeatureLoss = Literal["none", "hint", "attention", "similarity", "distance", "distance and angle"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """What defines the training."""

    temperature: float = 4.0
    """Of the soft targets, T."""
    hard: float = 0.1
    """Share of the cross-entropy with the labels; with 0 none are needed."""
    loss: Literal["divergence", "decoupled"] = "divergence"
    """Of the soft targets; see `jaxdl.ops.distillation`, as for what follows."""
    feature_loss: FeatureLoss = "none"
    """Of the features that are tapped; for one teacher. The weights of distance and angle are 1 to
    2 (Park et al., 2019)."""
    feature_weight: float = 1.0
    """Of that loss."""
    tap: str = "features"
    """Where the student's features are, see `tapped`."""
    mean: float = 0.0
    """Subtracted from the student's pixels."""
    deviation: float = 1.0
    """By which they are divided then."""
    microbatch: int | None = None
    """Images that a device takes at once, see `jaxdl.train.step.gradient_step`; batch statistics
    and relations between images are then those of a microbatch."""


class Teacher(NamedTuple):
    """A frozen teacher."""

    apply: Callable[[Any, jax.Array], tuple[jax.Array, Any]]
    """`(variables, images [B, H, W, C]) -> (logits [B, A], features)`: any function; the features
    may be None when nothing is learned from them."""
    variables: Any
    """Pytree of arrays, which the state keeps and no optimizer sees."""


def teacher(
    module: nn.Module,
    variables: Any,
    *,
    tap: str | None = None,
    mean: float = 0.0,
    deviation: float = 1.0,
) -> Teacher:
    """Makes a teacher of a classifier in `jaxdl.nn` or of any other Flax module.

    Args:
      module: `images -> logits [B, A]`, with its stored statistics when it is called like that.
      variables: of the module: parameters and statistics.
      tap: where its features are, see `tapped`; None when nothing is learned from them.
      mean: subtracted from the pixels first.
      deviation: by which they are divided then.
    """

    def apply(variables, images):
        logits, features, _ = tapped(module, variables, (images - mean) / deviation, tap)
        return logits, features

    return Teacher(apply, variables)


def tapped(
    module: nn.Module, variables: Any, images: jax.Array, tap: str | None, **options: Any
) -> tuple[jax.Array, Any, Any]:
    """Applies a module and reads features inside it, without a change of its code.

    Args:
      module: `images -> logits`.
      variables: of the module.
      images: [B, H, W, C].
      tap: the name of what it sows (`features` in `jaxdl.nn`), or of a submodule whose output is
        meant, `Conv_1` or `Block_3/Conv_0`; None for no features.
      **options: of `module.apply` and of its call.

    Returns:
      (logits, features or None, the new `batch_stats`, {} if there are none).

    Raises:
      ValueError: there is no such name.
    """
    mutable = ["intermediates", *options.pop("mutable", [])]

    def named(inner, method):
        return method == "__call__" and "/".join(inner.path) == tap

    logits, seen = module.apply(
        variables, images, capture_intermediates=named, mutable=mutable, **options
    )
    statistics = seen.get("batch_stats", {})
    if tap is None:
        return logits, None, statistics
    found = seen.get("intermediates", {})
    for name in tap.split("/"):
        if not isinstance(found, dict) or name not in found:
            raise ValueError(
                f"there is nothing to tap at {tap!r}; the network sows "
                f"{sorted(seen.get('intermediates', {}))}"
            )
        found = found[name]
    if isinstance(found, dict):
        found = found["__call__"]
    return logits, found[0], statistics


def make(
    config: Config,
    *,
    network: tuple[nn.Module, Sequence[Teacher]] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A batch is `{"image": [B, H, W, C], "label": int [B]}`; with `"teacher_logits"`, [B, A], no
    teacher is asked: what `teacher_logits` gave for the same images.

    Args:
      config: the settings.
      network: the student, `(images, train=bool) -> logits`, see `jaxdl.nn.classify`, and its
        teachers, of whose probabilities the student learns the mean. None for the paper's student,
        two layers of 800 units, and none, for batches with the teachers' logits.
      optimizer: None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose evaluation gives Moments of `accuracy`, `loss` (cross-entropy with the labels),
      and, if the teachers' logits are there, of `agreement` with them and `divergence` at T = 1.

    Raises:
      ValueError: when a setting is out of its range, or features are to be learned from none or
        several teachers.
    """
    student, teachers = network or (MLP((800, 800)), ())
    check(config, teachers)
    optimizer = optimizer or optax.adam(1e-3)
    tap = None if config.feature_loss == "none" else config.tap

    def taught(extra, batch):
        """Returns the teachers' logits and the features of the first."""
        if "teacher_logits" in batch:
            if tap is not None:
                raise ValueError("a batch with the teachers' logits has no features to learn from")
            return batch["teacher_logits"], None
        if not teachers:
            raise ValueError("there is no teacher: the batch must have teacher_logits")
        return _ask(teachers, extra["teachers"], batch["image"], config.temperature)

    def loss(params, extra, key, batch):
        variables = {"params": params["student"], "batch_stats": extra["batch_stats"]}
        logits, features, statistics = tapped(
            student,
            variables,
            (batch["image"] - config.mean) / config.deviation,
            tap,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        teacher_logits, teacher_features = taught(extra, batch)
        total, metrics = _soft(config, logits, teacher_logits, batch), {}
        if config.hard:
            own = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
            total = (1 - config.hard) * total + config.hard * own
            right = logits.argmax(-1) == batch["label"]
            metrics["accuracy"] = right.mean(dtype=jnp.float32)
        agree = logits.argmax(-1) == teacher_logits.argmax(-1)
        metrics["agreement"] = agree.mean(dtype=jnp.float32)
        total = total.mean()
        if tap is not None:
            if config.feature_loss == "hint":
                features = _regressor(teacher_features).apply(
                    {"params": params["regressor"]}, features
                )
            metrics["feature_loss"] = _features(config, features, teacher_features)
            total += config.feature_weight * metrics["feature_loss"]
        return total, ({"batch_stats": statistics}, metrics)

    def init(key: jax.Array, batch: Any) -> TrainState:
        student_key, regressor_key, state_key = jax.random.split(key, 3)
        variables = student.init(student_key, batch["image"])
        extra = {
            "batch_stats": variables.get("batch_stats", {}),
            # Copies: a compiled step takes the state's arrays away from whoever holds them.
            "teachers": jax.tree.map(jnp.array, tuple(each.variables for each in teachers)),
        }
        params = {"student": variables["params"]}
        if config.feature_loss == "hint":
            _, features, _ = tapped(student, variables, batch["image"], tap)
            wanted = _ask(teachers, extra["teachers"], batch["image"], config.temperature)[1]
            params["regressor"] = _regressor(wanted).init(regressor_key, features)["params"]
        return TrainState(
            jnp.zeros((), jnp.int32), params, optimizer.init(params), extra, state_key
        )

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        logits = predict(config, student, state, batch["image"])
        values = {
            "accuracy": (logits.argmax(-1) == batch["label"]).astype(jnp.float32),
            "loss": optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"]),
        }
        if teachers or "teacher_logits" in batch:
            wanted, _ = taught(state.extra, batch)
            values["agreement"] = (logits.argmax(-1) == wanted.argmax(-1)).astype(jnp.float32)
            values["divergence"] = ops.divergence(logits, wanted, 1.0)
        return {name: Moments.of(value, batch["weight"]) for name, value in values.items()}

    step = gradient_step(loss, optimizer, axis_name=axis_name, microbatch=config.microbatch)

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        after, metrics = step(state, batch)
        # The teachers stay out of the loss's `extra`, whose mean over parts would round them.
        return after._replace(extra=state.extra | after.extra), metrics

    return Method(init, train_step, eval_step)


def predict(config: Config, student: nn.Module, state: TrainState, images: jax.Array) -> jax.Array:
    """Returns the student's logits [B, A] of images [B, H, W, C], with the stored statistics."""
    variables = {
        "params": state.params["student"],
        "batch_stats": state.extra["batch_stats"],
    }
    return student.apply(variables, (images - config.mean) / config.deviation)


def teacher_logits(
    config: Config, teachers: Sequence[Teacher], variables: Sequence[Any], images: jax.Array
) -> jax.Array:
    """Returns the logits [B, A] that the student learns from, to be kept for later batches.

    Of several teachers they are those whose softened probabilities are the mean of the teachers',
    so they depend on the temperature.

    Args:
      config: the settings.
      teachers: one or more.
      variables: of each.
      images: [B, H, W, C].
    """
    return _ask(teachers, variables, images, config.temperature)[0]


def check(config: Config, teachers: Sequence[Teacher]) -> None:
    """Raises ValueError when a setting is out of its range."""
    if not config.temperature > 0 or not 0 <= config.hard <= 1 or not config.deviation > 0:
        raise ValueError(
            f"temperature and deviation must be positive and hard in [0, 1], got {config}"
        )
    if config.feature_loss != "none" and len(teachers) != 1:
        raise ValueError(
            f"features are learned from one teacher, got {len(teachers)}; "
            "use feature_loss='none' for others"
        )


def _ask(teachers, variables, images, temperature):
    found = [each.apply(own, images) for each, own in zip(teachers, variables, strict=True)]
    if len(found) == 1:
        return found[0]
    soft = jnp.stack([jax.nn.log_softmax(logits / temperature) for logits, _ in found])
    return temperature * (jax.nn.logsumexp(soft, 0) - jnp.log(len(found))), None


def _soft(config, logits, wanted, batch):
    if config.loss == "divergence":
        return ops.divergence(logits, wanted, config.temperature)
    return ops.decoupled(logits, wanted, batch["label"], temperature=config.temperature)


def _features(config, student, teacher):
    if config.feature_loss == "distance and angle":
        flat = [features.reshape(len(features), -1) for features in (student, teacher)]
        return (ops.relational_distance(*flat) + 2 * ops.relational_angle(*flat)).mean()
    losses = {
        "hint": ops.hint,
        "attention": ops.attention_transfer,
        "similarity": ops.similarity_preserving,
        "distance": ops.relational_distance,
    }
    return losses[config.feature_loss](student, teacher).mean()


def _regressor(wanted):
    return nn.Dense(wanted.shape[-1])
