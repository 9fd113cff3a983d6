"""From a loss to a training step, and from a step to a compiled, data-parallel program."""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.train.state import TrainState, averaged, raw, step_key, unraw, variables

Loss = Callable[[Any, Any, jax.Array, Any], tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]
Step = Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]
Sample = Callable[[jax.Array, Any], Any]


def gradient_step(
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    microbatch: int | None = None,
    average_decay: float = 0.0,
) -> Step:
    """Makes the step that takes one gradient of one loss.

    Args:
      loss: `(params, extra, key, batch) -> (scalar, (extra, metrics))`; metrics are scalars.
      optimizer: what turns the gradient into an update. One that takes Optax's further arguments,
        `value`, `grad` and `value_fn`, is given those of this step's batch.
      axis_name: the mapped axis over which gradients, metrics and the floating-point leaves of
        `extra` are averaged, for a step that runs inside `pmap` or `shard_map`; None under `jit`.
        A device has a key of its own, as a microbatch does.
      microbatch: examples that a device takes at once; it goes through its part of the batch in
        turn and averages gradients, metrics and the floating-point leaves of `extra`. The numbers
        are those of the whole batch when the loss is a mean over examples that do not see one
        another; the memory, and the share of the cache, are those of a microbatch. A microbatch has
        a key of its own. None for the whole batch.
      average_decay: share of `extra["average"]` that a step keeps, an average of
        `variables(params, extra)`, see `averaged`; 0 for none. The loss never sees it.

    Returns:
      `(state, batch) -> (state, metrics)`: the loss's own metrics, all taken before the update, and
      `loss`, `gradient_norm`, `parameter_norm` and `update_norm`.

    Raises:
      ValueError: `microbatch` does not divide the examples of one device.
    """
    differentiate = jax.value_and_grad(loss, has_aux=True)
    optimizer = optax.with_extra_args_support(optimizer)

    def of_one(params, extra, key, batch):
        (value, (extra, metrics)), gradient = differentiate(params, extra, key, batch)
        return gradient, extra, {**metrics, "loss": value}

    def of_all(params, extra, key, batch, axis_name=axis_name):
        if microbatch is None:
            if axis_name is not None:
                # Else the devices would drop the same units, and change images in the same way.
                key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
            result = of_one(params, extra, key, batch)
        else:
            parts, count = _split(batch, microbatch)
            first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count

            def add(total, part):
                index, batch = part
                result = of_one(params, extra, jax.random.fold_in(key, first + index), batch)
                return where_inexact(lambda new, sum: sum + new / count, result, total), None

            only = jax.tree.map(lambda leaf: leaf[0], parts)
            if count == 1:
                result = of_one(params, extra, jax.random.fold_in(key, first), only)
            else:
                shapes = jax.eval_shape(of_one, params, extra, key, only)
                start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
                result, _ = jax.lax.scan(add, start, (jnp.arange(count), parts))
        if axis_name is None:
            return result
        return where_inexact(lambda leaf: jax.lax.pmean(leaf, axis_name), result)

    def step(state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        run = of_all
        if axis_name is None and microbatch is not None and _axis_of_mesh():
            # Left to the partitioner, the loop over a sharded axis would gather it.
            everywhere, shared = PartitionSpec(), PartitionSpec(_axis_of_mesh())
            run = jax.shard_map(
                partial(of_all, axis_name=_axis_of_mesh()),
                in_specs=(everywhere, everywhere, everywhere, shared),
                out_specs=everywhere,
                # With it, the gradient of replicated parameters would be summed over devices.
                check_vma=False,
            )
        key, seen = step_key(state, 0), state.extra
        if average_decay:
            seen = {name: part for name, part in state.extra.items() if name != "average"}

        def value_fn(params):
            # Declared, so that the devices of a mapped axis follow the same slope.
            gradient, _, metrics = run(params, seen, key, batch)
            return with_gradient(metrics["loss"], params, gradient)

        gradient, extra, metrics = run(state.params, seen, key, batch)
        update, opt_state = optimizer.update(
            gradient,
            state.opt_state,
            state.params,
            value=metrics["loss"],
            grad=gradient,
            value_fn=value_fn,
        )
        metrics |= {
            "gradient_norm": optax.tree.norm(gradient),
            "parameter_norm": optax.tree.norm(state.params),
            "update_norm": optax.tree.norm(update),
        }
        params = optax.apply_updates(state.params, update)
        if average_decay:
            average = averaged(
                state.extra["average"], variables(params, extra), state.step, average_decay
            )
            extra = extra | {"average": average}
        return TrainState(state.step + 1, params, opt_state, extra, state.key), metrics

    return step


def map_examples(
    function: Callable[[Any, Any], Any], *, microbatch: int | None = None
) -> Callable[[Any, Any], Any]:
    """Maps `(params, example) -> outputs` over the first axis of a batch of examples.

    Args:
      function: of the parameters, which all examples share, and one example.
      microbatch: examples that a device takes at once; None for all of them.

    Returns:
      `(params, batch) -> outputs`, all leaves with the examples as their first axis.
    """

    def of_all(params, batch):
        one = partial(function, params)
        if jax.tree.leaves(batch)[0].shape[0] == 1:
            # XLA's matrix product is half as fast with a batch axis, even of one.
            outputs = one(jax.tree.map(lambda leaf: leaf[0], batch))
            return jax.tree.map(lambda leaf: leaf[None], outputs)
        if microbatch is None:
            return jax.vmap(one)(batch)
        return jax.lax.map(one, batch, batch_size=microbatch if microbatch > 1 else None)

    def mapped(params, batch):
        if microbatch is None or not _axis_of_mesh():
            return of_all(params, batch)
        shared = PartitionSpec(_axis_of_mesh())
        return jax.shard_map(
            of_all, in_specs=(PartitionSpec(), shared), out_specs=shared, check_vma=False
        )(params, batch)

    return mapped


def data_mesh(
    devices: int | None = None, *, batch: int | None = None, independent: bool = True
) -> Mesh:
    """Returns the 1-D mesh `("data",)` by which a batch is shared.

    Args:
      devices: how many; None for all of them.
      batch: size of the batch. On CPUs, where the devices are cores, the mesh then has as many as
        can share it evenly; elsewhere a batch that all devices cannot share is an error later.
      independent: whether the examples meet nowhere but in the gradient, as tasks do. Where batch
        statistics bring them together, several times in a layer, CPU devices would wait for one
        another more than they compute: the mesh is then one device, whose cores share products.

    Several processes always share a batch by all of their devices.
    """
    devices = devices or jax.device_count()
    if batch is not None and jax.default_backend() == "cpu" and jax.process_count() == 1:
        if not independent:
            devices = 1
        devices = max(count for count in range(1, devices + 1) if batch % count == 0)
    # Explicit axes, the default of make_mesh, break Linen modules and optax losses.
    return jax.make_mesh((devices,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


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
      `call.lower(state, data)` is the program, uncompiled, as that of `jax.jit`.
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
            with sharing(mesh):
                return step(state, shard(batch))

        batches = None if sample is not None else data
        if steps_per_call == 1:
            # A loop of one would be unrolled, but too late for XLA to see its convolutions.
            state, metrics = body(state, batches)
            return state, jax.tree.map(lambda metric: metric[None], metrics)
        return jax.lax.scan(body, state, batches, length=steps_per_call)

    if mesh is None:
        return jax.jit(call, donate_argnums=0)
    options = compiler_options(mesh)
    compiled = jax.jit(call, donate_argnums=0, out_shardings=replicated, compiler_options=options)

    def run(state, data):
        return compiled(everywhere(state, replicated), data)

    run.lower = compiled.lower  # type: ignore[attr-defined]
    return run


def everywhere(tree: Any, replicated: NamedSharding) -> Any:
    """Puts arrays, which all processes have alike, on all devices of a sharding."""

    def put(leaf):
        if leaf.sharding == replicated:
            return leaf
        # JAX cannot put keys on the devices of other processes, but their numbers.
        return unraw(jax.device_put(raw(leaf), replicated), leaf)

    return jax.tree.map(put, tree)


def sharing(mesh: Mesh | None) -> contextlib.AbstractContextManager:
    """Tells what is traced in this context by which mesh its batches are shared."""
    if mesh is None:
        return contextlib.nullcontext()
    return jax.sharding.use_abstract_mesh(mesh.abstract_mesh)


def compiler_options(mesh: Mesh | None) -> dict[str, Any]:
    """Returns the XLA options that a program for this mesh is faster with."""
    if mesh is None or mesh.size == 1 or mesh.devices.flat[0].platform != "cpu":
        return {}
    # Every device is a core already; a matrix product has no others to spread over.
    return {"xla_cpu_multi_thread_eigen": False}


def check_divisible(batch: Any, devices: int) -> None:
    """Raises ValueError unless the first axis of every leaf divides evenly over the devices."""
    for size in {leaf.shape[0] for leaf in jax.tree.leaves(batch)}:
        if size % devices:
            below = size - size % devices
            raise ValueError(
                f"a batch of {size} cannot be shared evenly by {devices} devices; "
                f"use {f'{below} or ' if below else ''}{below + devices}"
            )


def _axis_of_mesh() -> str | None:
    """Returns the axis of the mesh that `compile_step` or `compile_evaluation` traces for."""
    names = jax.sharding.get_abstract_mesh().axis_names
    return names[0] if names else None


def with_gradient(value: jax.Array, params: Any, gradient: Any) -> jax.Array:
    """Returns a value whose gradient with respect to `params` is declared to be `gradient`.

    It is how a method follows another direction than the slope of its loss.
    """
    # Each term is 0.
    moves = [
        jnp.vdot(p - jax.lax.stop_gradient(p), jax.lax.stop_gradient(g))
        for p, g in zip(jax.tree.leaves(params), jax.tree.leaves(gradient), strict=True)
    ]
    return jax.lax.stop_gradient(value) + sum(moves)


def _split(batch: Any, size: int) -> tuple[Any, int]:
    """Returns the batch with leaves [B / size, size, ...], and how many parts that makes."""
    examples = jax.tree.leaves(batch)[0].shape[0]
    if examples % size:
        raise ValueError(f"a microbatch of {size} does not divide the {examples} of one device")
    count = examples // size
    return jax.tree.map(lambda leaf: leaf.reshape(count, size, *leaf.shape[1:]), batch), count


def where_inexact(function: Callable[..., jax.Array], tree: Any, *others: Any) -> Any:
    """Maps the floating-point leaves, and keeps the others of the first tree."""
    return jax.tree.map(
        lambda leaf, *rest: (
            function(leaf, *rest) if jnp.issubdtype(leaf.dtype, jnp.inexact) else leaf
        ),
        tree,
        *others,
    )


def pmap_step(step: Step) -> Step:
    """Compiles a step made with `axis_name="data"` through `jax.pmap`, for those who want it.

    The numbers are those of one device, and of `compile_step`, but for what sees one device's part
    of the batch: random numbers that are drawn in the step (dropout, latent vectors, changes of
    images) and batch statistics are each device's own, those of `gradient_step` on one device with
    a microbatch of B / devices. For the statistics of the whole batch give the network a layer that
    takes them over the axis, as `flax.linen.BatchNorm(axis_name="data")` does.

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
