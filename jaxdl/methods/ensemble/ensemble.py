"""Deep ensembles (Lakshminarayanan et al., 2017): all members are trained in one step.

Shapes: M members, B batch, H W image, C channels, A classes.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.ensemble.configs import Ensemble as Config
from jaxdl.nn.classify import CNN
from jaxdl.ops import voting
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps.

    A training batch is `{"image": [M, B, H, W, C], "label": int [M, B]}`, every member's own; the
    devices of a mesh share the members. An evaluation batch is `[B, ...]`, the same for all.

    Args:
      config: the settings.
      network: `(images, train=bool) -> logits [B, A]`, see `jaxdl.nn.classify`. None for its `CNN`.
      optimizer: None for Adam at 1e-3. Each member has a state of its own.
      axis_name: the mapped axis, inside `pmap` or `shard_map`, whose devices share the members: a
        device's batch is of M / devices of them, and the state, the same everywhere, of all.

    Returns:
      A Method whose metrics in training are means over the members. It predicts `log_probability`,
      [B, A], of the mean probability, and that of `members`, [B, M, A], with stored statistics. Its
      evaluation gives Moments of `accuracy` and `loss` of the mean probability, `member accuracy`,
      `member loss` and `disagreement`.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(config)
    network = network or CNN(classes=config.classes)
    optimizer = optimizer or optax.adam(1e-3)
    factors = jnp.array(config.rate_factors or (1.0,) * config.members)

    def loss(params, extra, key, batch):
        logits, seen = network.apply(
            {"params": params, "batch_stats": extra},
            (batch["image"] - config.mean) / config.deviation,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        targets = jax.nn.one_hot(batch["label"], config.classes)
        targets = optax.smooth_labels(targets, config.label_smoothing)
        right = (logits.argmax(-1) == batch["label"]).mean(dtype=jnp.float32)
        value = optax.softmax_cross_entropy(logits, targets).mean()
        return value, (seen.get("batch_stats", {}), {"accuracy": right})

    def one(state, factor, batch):
        scaled = optax.chain(optimizer, optax.scale(factor))
        return gradient_step(loss, scaled)(state, batch)

    # All members are at the same step; keys, parameters and all else are their own.
    axes = TrainState(None, 0, 0, 0, 0)  # type: ignore[arg-type]
    mapped = jax.vmap(one, (axes, 0, 0), (axes, 0))

    def train_step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        keys = jax.random.split(state.key, config.members)
        own: Any = state.params, state.opt_state, state.extra, keys, factors
        if axis_name is not None:
            own = _part(own, axis_name, len(batch["label"]), config.members)
        *own, factor = own
        after, metrics = mapped(TrainState(state.step, *own), factor, batch)
        found: Any = after.params, after.opt_state, after.extra, metrics
        if axis_name is not None:
            found = jax.lax.all_gather(found, axis_name, tiled=True)
        *found, metrics = found
        metrics = jax.tree.map(lambda leaf: leaf.mean(0), metrics)
        return TrainState(after.step, *found, state.key), metrics  # type: ignore[call-arg]

    def init(key: jax.Array, batch: Any) -> TrainState:
        *keys, state_key = jax.random.split(key, config.members + 1)

        def member(key):
            variables = network.init(key, batch["image"][0])
            return variables["params"], variables.get("batch_stats", {})

        # The state of the chain that `one` makes, whose second part has none.
        chain = optax.chain(optimizer, optax.scale(1.0))
        each = optax.GradientTransformation(jax.vmap(chain.init), chain.update)
        params, statistics = jax.vmap(member)(jnp.stack(keys))
        return TrainState.start(params, each, statistics, state_key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        images = (inputs["image"] - config.mean) / config.deviation

        def one(params, statistics):
            return network.apply({"params": params, "batch_stats": statistics}, images)

        members = jax.nn.log_softmax(jax.vmap(one, out_axes=1)(state.params, state.extra))
        together = jax.nn.logsumexp(members, 1) - jnp.log(config.members)
        return {"log_probability": together, "members": members}

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        found, label = predict(state, batch), batch["label"]
        together, members = found["log_probability"], found["members"]
        said = members.argmax(-1)

        def of_label(values, label):
            return jnp.take_along_axis(values, label[..., None], -1)[..., 0]

        values = {
            "accuracy": (together.argmax(-1) == label).astype(jnp.float32),
            "loss": -of_label(together, label),
            "member accuracy": (said == label[:, None]).mean(1, dtype=jnp.float32),
            "member loss": -of_label(members, label[:, None]).mean(1),
            "disagreement": voting.disagreement(said.T),
        }
        return {name: Moments.of(value, batch["weight"]) for name, value in values.items()}

    return Method(init, train_step, predict, eval_step)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch: eight members, each with images of its own."""
    del axis_name
    members, count, classes = 8, 6, 3
    label = jnp.tile(jnp.arange(count) % classes, (members, 1))
    noise = 0.3 * jax.random.uniform(jax.random.key(0), (members, count, 8, 8, 1))
    batch = {"image": noise + 0.3 * label[..., None, None, None], "label": label}
    network = CNN(((4,),), (), classes, batch_norm=True, dropout=0.2)
    return Config(members=members, classes=classes), network, batch


def judged(batch: dict[str, Any]) -> dict[str, Any]:
    """Returns the images of one member as a batch to be evaluated, which all members see."""
    one = jax.tree.map(lambda leaf: leaf[0], batch)
    return one | {"weight": jnp.ones(len(one["label"]))}


def member(state: TrainState, index: int) -> dict[str, Any]:
    """Returns the variables of one member's network, to use it alone or as a teacher."""
    params, statistics = jax.tree.map(lambda leaf: leaf[index], (state.params, state.extra))
    return {"params": params, "batch_stats": statistics}


def check(config: Config) -> None:
    """Raises ValueError when a setting is out of its range."""
    if config.members < 2:
        raise ValueError(f"an ensemble has at least 2 members, got {config.members}")
    if config.rate_factors and len(config.rate_factors) != config.members:
        raise ValueError(
            f"rate_factors must be one for each of {config.members} members, "
            f"got {len(config.rate_factors)}"
        )
    if not 0 <= config.label_smoothing < 1 or not config.deviation > 0:
        raise ValueError(f"label_smoothing must be in [0, 1) and deviation positive, got {config}")


def _part(tree: Any, axis_name: str, count: int, members: int) -> Any:
    """Returns what a device's own members have, [M / devices, ...], of what all have."""
    devices = jax.lax.axis_size(axis_name)
    if count * devices != members:
        raise ValueError(f"{devices} devices with {count} members each do not share {members}")
    first = count * jax.lax.axis_index(axis_name)
    return jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, count), tree)
