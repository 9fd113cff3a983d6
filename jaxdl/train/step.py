"""From a loss to a training step, and from a step to a compiled, data-parallel program."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.train.state import TrainState, step_key

Loss = Callable[[Any, Any, jax.Array, Any], tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]
Step = Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
Sample = Callable[[jax.Array, Any], Any]


def gradient_step(
    loss: Loss, optimizer: optax.GradientTransformation, *, axis_name: str | None = None
) -> Step:
    """Makes the step that takes one gradient of one loss.

    Args:
      loss: `(params, extra, key, batch) -> (scalar, (extra, metrics))`; metrics are scalars.
      optimizer: what turns the gradient into an update.
      axis_name: the mapped axis over which gradients, metrics and the floating-point leaves of
        `extra` are averaged, for a step that runs inside `pmap` or `shard_map`; None under `jit`.

    Returns:
      `(state, batch) -> (state, metrics)`: the loss's own metrics, all taken before the update, and
      `loss`, `gradient_norm`, `parameter_norm` and `update_norm`.
    """

    def average(tree):
        if axis_name is None:
            return tree
        return jax.tree.map(
            lambda leaf: (
                jax.lax.pmean(leaf, axis_name) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf
            ),
            tree,
        )

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        differentiate = jax.value_and_grad(loss, has_aux=True)
        (value, (extra, metrics)), gradient = differentiate(
            state.params, state.extra, step_key(state, 0), batch
        )
        gradient, extra, metrics = average((gradient, extra, {"loss": value, **metrics}))
        update, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        metrics |= {
            "gradient_norm": optax.tree.norm(gradient),
            "parameter_norm": optax.tree.norm(state.params),
            "update_norm": optax.tree.norm(update),
        }
        params = optax.apply_updates(state.params, update)
        return TrainState(state.step + 1, params, opt_state, extra, state.key), metrics

    return step


def data_mesh(devices: int | None = None) -> Mesh:
    """Returns the 1-D mesh `("data",)` over the first `devices` devices, or over all of them."""
    # Explicit axes, the default of make_mesh, break Linen modules and optax losses.
    return jax.make_mesh(
        (devices or jax.device_count(),), ("data",), axis_types=(jax.sharding.AxisType.Auto,)
    )


def compile_step(
    step: Step, *, mesh: Mesh | None = None, steps_per_call: int = 1, sample: Sample | None = None
) -> Step:
    """Compiles a step, or several in one program, for one or many devices.

    Args:
      step: a pure `(state, batch) -> (state, metrics)`.
      mesh: the 1-D mesh whose devices share the first axis of every batch; None for one device.
        The parameters are replicated and the numbers are those of one device.
      steps_per_call: K, the steps that one call takes.
      sample: `(key, data) -> batch`, run inside the program. The data set is an argument of the
        program, not a constant of it. None when the caller feeds batches.

    Returns:
      `call(state, data) -> (state, metrics)`. `state` is donated. `data` is the data set when there
      is a `sample`; else the batch, with a further leading axis K when `steps_per_call` > 1.
      Every metric is [K]. A batch that the devices cannot share evenly raises ValueError.
    """
    replicated = None if mesh is None else NamedSharding(mesh, PartitionSpec())

    def shard(batch):
        if mesh is None:
            return batch
        check_divisible(batch, mesh.size)
        return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec("data")))

    def call(state, data):
        def body(state, batch):
            if sample is not None:
                batch = sample(step_key(state, 1), data)
            return step(state, shard(batch))

        if sample is not None:
            return jax.lax.scan(body, state, None, length=steps_per_call)
        if steps_per_call == 1:
            data = jax.tree.map(lambda leaf: leaf[None], data)
        return jax.lax.scan(body, state, data, length=steps_per_call)

    if mesh is None:
        return jax.jit(call, donate_argnums=0)
    compiled = jax.jit(call, donate_argnums=0, out_shardings=replicated)
    return lambda state, data: compiled(jax.device_put(state, replicated), data)


def check_divisible(batch: Any, devices: int) -> None:
    """Raises ValueError unless the first axis of every leaf divides evenly over the devices."""
    for size in {leaf.shape[0] for leaf in jax.tree.leaves(batch)}:
        if size % devices:
            below = size - size % devices
            raise ValueError(
                f"a batch of {size} cannot be shared evenly by {devices} devices; "
                f"use {f'{below} or ' if below else ''}{below + devices}"
            )


def pmap_step(step: Step) -> Step:
    """Compiles a step made with `axis_name="data"` through `jax.pmap`, for those who want it.

    Args:
      step: a pure step that averages its gradients over the axis "data".

    Returns:
      `call(state, batch) -> (state, metrics)`: the state has a leading device axis
      (`flax.jax_utils.replicate`) and is donated; the batch is the global one, [B, ...], and is
      split over the devices. Every metric is [devices], all equal.
    """
    mapped = jax.pmap(step, axis_name="data", donate_argnums=0)

    def call(state: TrainState, batch: Any):
        devices = jax.local_device_count()
        check_divisible(batch, devices)
        split = jax.tree.map(lambda leaf: leaf.reshape(devices, -1, *leaf.shape[1:]), batch)
        return mapped(state, split)

    return call
