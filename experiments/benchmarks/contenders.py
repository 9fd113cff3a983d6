"""The few-shot step in all the forms that are compared, on the same problem."""

import dataclasses
import importlib.util
import math
from collections.abc import Callable, Mapping
from typing import Any

from experiments.benchmarks import timing

# Small enough that rounding errors do not grow from inner step to inner step.
INNER_LR = 0.05


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """One meta-learning problem."""

    way: int = 5
    shots: int = 1
    queries: int = 15
    inner_steps: int = 1
    first_order: bool = False
    tasks: int = 16

    def __str__(self):
        order = ", first order" if self.first_order else ""
        steps = f"{self.inner_steps} step{'s' if self.inner_steps > 1 else ''}"
        return f"{self.way}-way {self.shots}-shot, {self.queries} queries, {steps}{order}"


def flop_per_task(setting: Setting) -> float:
    """Returns the floating-point operations of one task; `meta_step` says which.

    >>> round(flop_per_task(Setting()) / 1e9, 2)
    1.41
    """
    first = 14 * 14 * 9 * 64
    rest = sum(side * side * 9 * 64 * 64 for side in (7, 4, 2)) + 256 * setting.way
    gradient = 2 * (2 * first + 3 * rest)
    differentiated = 1 if setting.first_order else 3
    queries = setting.way * setting.queries
    supports = setting.way * setting.shots * setting.inner_steps
    return gradient * (queries + differentiated * supports)


def problem(setting: Setting) -> tuple[Any, Any]:
    """Returns the parameters of Conv4 and a batch of tasks, random but always the same."""
    import jax
    import numpy as np

    from jaxdl.nn.fewshot import Conv4

    generator = np.random.default_rng(0)
    batch = {}
    for part, each in (("support", setting.shots), ("query", setting.queries)):
        images = generator.random((setting.tasks, setting.way * each, 28, 28, 1), np.float32)
        label = np.tile(np.repeat(np.arange(setting.way, dtype=np.int32), each), (setting.tasks, 1))
        batch[part] = {"image": images, "label": label}
    shapes = jax.eval_shape(
        Conv4(setting.way).init, jax.random.key(0), batch["support"]["image"][0]
    )
    params = jax.tree.map(
        lambda leaf: (
            generator.standard_normal(leaf.shape, np.float32)
            / math.sqrt(leaf.size / leaf.shape[-1])
            if leaf.ndim > 1
            else generator.uniform(0.5, 1, leaf.shape).astype(np.float32)
        ),
        shapes["params"],
    )
    return params, batch


def jax_step(
    setting: Setting,
    params: Any,
    batch: Any,
    *,
    steps_per_call: int = 1,
    naive: bool = False,
) -> Callable[[], tuple[float, float]]:
    """Returns `steps_per_call` outer steps, which give loss and gradient norm before the first.

    With `naive`, what one would write first: `vmap` over tasks of a network of `flax.linen`, one
    step in a call, on one device that spreads over the cores by itself.
    """
    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl.methods.fewshot import maml
    from jaxdl.nn.fewshot import Conv4
    from jaxdl.train.state import TrainState
    from jaxdl.train.step import compile_step, data_mesh

    method = maml.Config(
        way=setting.way,
        inner_lr=INNER_LR,
        inner_steps=setting.inner_steps,
        first_order=setting.first_order,
        tasks_at_once=setting.tasks if naive else 0,
    )
    optimizer = optax.adam(1e-3)
    network = _naive_network(setting.way) if naive else Conv4(setting.way)
    train_step = maml.make(method, network=network, optimizer=optimizer).train_step
    if naive:
        params = {
            name.replace("Normalise", "BatchNorm"): leaf.get("BatchNorm_0", leaf)
            for name, leaf in params.items()
        }
    mesh = None if naive else data_mesh(batch=setting.tasks)
    call = compile_step(
        train_step,
        mesh=mesh,
        steps_per_call=1 if naive else steps_per_call,
        sample=lambda key, data: data,
    )
    batch = jax.device_put(batch)
    params = jax.tree.map(jnp.array, params)  # the step gives its buffers away
    state = TrainState(
        jnp.zeros((), jnp.int32), params, optimizer.init(params), (), jax.random.key(0)
    )

    def step():
        nonlocal state
        state, metrics = call(state, batch)
        return float(metrics["loss"][0]), float(metrics["gradient_norm"][0])

    return step


def _naive_network(way: int) -> Any:
    import flax.linen as nn

    class Naive(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            for _ in range(4):
                images = nn.Conv(64, (3, 3), strides=(2, 2))(images)
                images = nn.BatchNorm(not train, momentum=0.0, epsilon=1e-3)(images)
                images = nn.relu(images)
            return nn.Dense(way)(images.reshape(images.shape[0], -1))

    return Naive()


def ceiling() -> dict[str, Any]:
    """Returns contenders of `race` that multiply two 2048 x 2048 matrices, and what that takes."""
    import jax
    import jax.numpy as jnp

    side = 2048
    left = jnp.ones((side, side))
    product = jax.jit(lambda a: a @ a)
    contenders = {"matrix product, JAX": lambda: product(left).block_until_ready()}
    if torch_is_installed():
        from experiments.benchmarks import torch_peers

        contenders["matrix product, PyTorch"] = torch_peers.matmul(side)
    return {"contenders": contenders, "flop": 2 * side**3}


def race_with_products(
    contenders: Mapping[str, Callable[[], object]], rounds: int, title: str
) -> tuple[dict[str, list[float]], list[float]]:
    """Races warm contenders and matrix products.

    Returns:
      The seconds of each round by contender, and the FLOP per second of the faster product in each
      round, which is what the machine can do at that moment.
    """
    limit = ceiling()
    timing.warm(limit["contenders"])
    seconds = timing.race({**contenders, **limit["contenders"]}, rounds, title)
    products = [seconds.pop(name) for name in limit["contenders"]]
    return seconds, [limit["flop"] / min(of_round) for of_round in zip(*products, strict=True)]


def use_float32() -> None:
    """Has GPUs and TPUs multiply 32-bit floats as they are, so that contenders can agree.

    By default each library rounds them where it likes; on a CPU nothing changes.
    """
    import jax

    jax.config.update("jax_default_matmul_precision", "float32")


def check_equal(values: dict[str, tuple[float, float]]) -> None:
    """Raises RuntimeError unless all contenders have the loss and gradient norm of the first.

    The loss to 1e-4, the norm to 1e-3: over five inner steps float32 rounding grows to 5e-4 in it.
    """
    first = next(iter(values.values()))
    for name, value in values.items():
        pairs = zip(value, first, (1e-4, 1e-3), strict=True)
        if any(abs(v - f) > tolerance * max(1.0, abs(f)) for v, f, tolerance in pairs):
            raise RuntimeError(f"{name} has loss and gradient norm {value}, jaxdl {first}")


def torch_is_installed() -> bool:
    """Says whether there is a PyTorch to compare with."""
    return importlib.util.find_spec("torch") is not None
