"""Knowledge distillation: a student learns from frozen teachers (Hinton et al., 2015).

Teacher and student see the same images in one compiled step. The teachers' outputs may also come
with the batch, from a cache.

Shapes: B batch, H W image, C channels, A classes.
"""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.distill.configs import Distill as Config
from jaxdl.methods.distill.teachers import Teacher, tapped, teacher
from jaxdl.nn.classify import CNN, MLP
from jaxdl.ops import distillation as ops
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step


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
      A Method that predicts `logits`, [B, A], and the `features` that the student sows, if it does,
      with stored statistics. Its evaluation gives Moments of `accuracy`, `loss` (cross-entropy with
      the labels), and, if there is a teacher or its logits, of `agreement` and `divergence` at 1.

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
        total, metrics = _soft_and_hard(config, logits, teacher_logits, batch), {}
        if config.hard:
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
        return TrainState.start(params, optimizer, extra, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        logits, seen = student.apply(
            {"params": state.params["student"], "batch_stats": state.extra["batch_stats"]},
            (inputs["image"] - config.mean) / config.deviation,
            mutable=["intermediates"],
        )
        found = seen.get("intermediates", {}).get("features", ())
        return {"logits": logits} | ({"features": found[0]} if found else {})

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        logits = predict(state, batch)["logits"]
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

    return Method(init, train_step, predict, eval_step)


def example(axis_name: str | None = None) -> tuple[Config, Any, dict[str, Any]]:
    """Returns a small config, a student with its teacher, and a batch."""
    label = jnp.arange(16) % 3
    noise = 0.3 * jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
    images = noise + 0.3 * label[:, None, None, None]
    large = MLP((16,), 3)
    variables = jax.tree.map(lambda leaf: 2 * leaf, large.init(jax.random.key(1), images))
    student = CNN(((4,),), (), 3, batch_norm=True, axis_name=axis_name)
    batch = {"image": images, "label": label, "weight": jnp.ones(16)}
    return Config(), (student, (teacher(large, variables),)), batch


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


def _soft_and_hard(config, logits, wanted, batch):
    options = {"temperature": config.temperature}
    if config.loss == "decoupled":
        soft = ops.decoupled(logits, wanted, batch["label"], **options)
        own = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return (1 - config.hard) * soft + config.hard * own
    if not config.hard:  # there may be no labels
        return ops.divergence(logits, wanted, **options)
    return ops.soft_and_hard(logits, wanted, batch["label"], hard=config.hard, **options)


def _features(config, student, teacher):
    if config.feature_loss == "attention" and not student.ndim == teacher.ndim == 4:
        raise ValueError(
            f"attention is compared of maps [B, H, W, C]; at {config.tap!r} there are features of "
            f"shape {student.shape} and {teacher.shape}"
        )
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
