"""Evaluation over sampled examples, exact for any number of them and any number of devices."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.ops.metrics import Moments
from jaxdl.train.state import TrainState
from jaxdl.train.step import compiler_options, sharing

Evaluate = Callable[[TrainState, Any, jax.Array, int], dict[str, Moments]]


def compile_evaluation(
    eval_step: Callable[[TrainState, Any], dict[str, Moments]],
    sample: Callable[[jax.Array, Any], dict[str, Any]],
    *,
    per_call: int,
    mesh: Mesh | None = None,
) -> Evaluate:
    """Compiles the evaluation of a state on sampled examples (episodes, for few-shot learning).

    Example i is drawn from `fold_in(key, i)`, so the examples depend neither on how many fit in one
    call nor on the number of devices.

    Args:
      eval_step: `(state, batch) -> {name: Moments}`; the batch has a `weight`, [per_call].
      sample: `(key, data) -> example`, one dict of arrays without a batch axis.
      per_call: how many examples one compiled call takes; a multiple of the mesh's size.
      mesh: the 1-D mesh that shares them; None for one device.

    Returns:
      `evaluate(state, data, key, examples) -> {name: Moments}` over that many examples, 1 or more,
      summed on the host in float64.
    """

    # Two programs, so that data sets of different sizes share the larger one.
    @jax.jit
    def draw(data, key, first, examples):
        index = first + jnp.arange(per_call)
        if mesh is not None:
            shared = NamedSharding(mesh, PartitionSpec("data"))
            index = jax.lax.with_sharding_constraint(index, shared)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
        batch = jax.vmap(sample, (0, None))(keys, data)
        return batch | {"weight": (index < examples).astype(jnp.float32)}

    def measure(state, batch):
        with sharing(mesh):
            return eval_step(state, batch)

    measure = jax.jit(measure, compiler_options=compiler_options(mesh))

    def evaluate(state: TrainState, data: Any, key: jax.Array, examples: int) -> dict[str, Moments]:
        parts = []
        if mesh is not None:
            state = jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
        for first in range(0, examples, per_call):
            moments = measure(state, draw(data, key, first, examples))
            parts.append(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), moments))
        return jax.tree.map(lambda *leaves: sum(leaves), *parts)

    return evaluate


def sum_batches(
    measure: Callable[[Any], dict[str, Moments]], examples: Any, size: int
) -> dict[str, Moments]:
    """Measures any number of examples with one program, exactly.

    Args:
      measure: a compiled function of a dict of arrays [size, ...] with their `weight`, [size].
      examples: dict of arrays [n, ...], n at least 1.
      size: of a batch; the last one is filled up with examples that do not count.

    Returns:
      Moments over the n examples, summed on the host in float64.
    """
    parts = []
    for batch, here in _batches(examples, size):
        moments = measure(batch | {"weight": (np.arange(size) < here).astype(np.float32)})
        parts.append(jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), moments))
    return jax.tree.map(lambda *leaves: sum(leaves), *parts)


def map_batches(function: Callable[[Any], Any], examples: Any, size: int) -> Any:
    """Applies a compiled function to any number of examples with one program.

    Args:
      function: from a pytree of arrays [size, ...] to one whose first axis is the same examples.
      examples: pytree of arrays [n, ...], n at least 1.
      size: of a batch; the last one is filled up with its first example.

    Returns:
      The function's pytree of NumPy arrays with the first axis n.
    """
    found = []
    for batch, here in _batches(examples, size):
        outputs = jax.device_get(function(batch))
        found.append(jax.tree.map(lambda leaf, n=here: leaf[:n], outputs))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *found)


def _batches(examples: Any, size: int) -> Iterator[tuple[Any, int]]:
    """Yields batches of one size, and how many examples of each are not there to fill it up."""
    count = len(jax.tree.leaves(examples)[0])
    for first in range(0, count, size):
        here = min(size, count - first)

        def part(leaf, first=first, here=here):
            some = np.asarray(leaf[first : first + here])
            return np.concatenate([some, np.repeat(some[:1], size - here, 0)])

        yield jax.tree.map(part, examples), here
