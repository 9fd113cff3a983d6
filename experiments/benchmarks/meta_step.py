"""How fast the few-shot training step is, beside PyTorch, naive JAX and the machine's own limit.

python -m experiments.benchmarks.meta_step                        # tens of minutes on two CPU cores
python -m experiments.benchmarks.meta_step --parts speed --settings all
pip install torch learn2learn                                     # optional: the peers

Contenders take one outer step (Adam) on the same tasks from the same parameters, in turn, and must
agree in loss and gradient norm before they are timed. A ratio is the median over the rounds of the
ratio within a round. What counts as work is the arithmetic of convolutions and the last layer:
2 x multiply-adds, three products a layer for a gradient (two in the first, whose input needs
none), and three times that where the gradient is differentiated again.

speed       tasks a second by setting and contender, and the share of the matrix product's speed
growth      time against tasks, ways and inner steps
memory      temporary memory of the compiled step with and without rematerialisation
sampling    episodes drawn inside the step
start       from the command to the first step, with an empty and with a filled program cache
classifier  a supervised MNIST network of 30,074 parameters, batch 128
"""

import dataclasses
import importlib.util
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from jaxdl.train import command

# Small enough that rounding errors do not grow from inner step to inner step.
INNER_LR = 0.05

Part = Literal["speed", "growth", "memory", "sampling", "start", "classifier"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Timings of the few-shot training step."""

    parts: tuple[Part, ...] = ("speed", "growth", "memory", "sampling", "start", "classifier")
    """What to measure."""
    settings: Literal["headline", "all"] = "headline"
    """Settings of `speed`: three that the README shows, or also 20 ways and first order."""
    tasks: int = 16
    """Tasks in an outer step; a quarter of it for 20 ways."""
    rounds: int = 5
    """How often each contender is timed."""
    naive: bool = True
    """Also time `vmap` over `flax.linen.Conv`, in the first setting only: on a CPU it takes longer
    than all the rest."""
    workdir: Path = Path("runs/meta_step")
    """Where the numbers and the plots go."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """One meta-learning problem."""

    way: int = 5
    queries: int = 15
    inner_steps: int = 1
    first_order: bool = False
    tasks: int = 16

    def __str__(self):
        order = ", first order" if self.first_order else ""
        steps = f"{self.inner_steps} step{'s' if self.inner_steps > 1 else ''}"
        return f"{self.way}-way 1-shot, {self.queries} queries, {steps}{order}"


def settings(config: Config) -> list[Setting]:
    """Returns what `speed` measures."""
    headline = [(5, 15, 1, False), (5, 5, 1, False), (5, 5, 5, False)]
    every = [(w, q, s, f) for w in (5, 20) for f in (False, True) for q in (15, 5) for s in (1, 5)]
    chosen = headline if config.settings == "headline" else every
    return [
        Setting(
            way=way,
            queries=queries,
            inner_steps=inner_steps,
            first_order=first_order,
            tasks=config.tasks if way == 5 else max(1, config.tasks // 4),
        )
        for way, queries, inner_steps, first_order in chosen
    ]


def flop_per_task(setting: Setting) -> float:
    """Returns the floating-point operations of one task; see the head of this file.

    >>> round(flop_per_task(Setting()) / 1e9, 2)
    1.41
    """
    first = 14 * 14 * 9 * 64
    rest = sum(side * side * 9 * 64 * 64 for side in (7, 4, 2)) + 256 * setting.way
    gradient = 2 * (2 * first + 3 * rest)
    differentiated = 1 if setting.first_order else 3
    queries, supports = setting.way * setting.queries, setting.way * setting.inner_steps
    return gradient * (queries + differentiated * supports)


def main(config: Config) -> None:
    """Measures, prints tables, writes the numbers and the plots."""
    import jax

    from jaxdl.train.report import Report

    command.require_positive(config, "tasks", "rounds")
    report = Report(config.workdir)
    result = {
        "machine": {
            "backend": jax.default_backend(),
            "devices": jax.device_count(),
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "python": platform.python_version(),
            "jax": jax.__version__,
            "torch": _version("torch"),
            "learn2learn": _version("learn2learn"),
        },
        "rounds": config.rounds,
    }
    sys.stdout.reconfigure(line_buffering=True)  # a table as soon as it is measured
    measure = {
        "speed": speed,
        "growth": growth,
        "memory": memory,
        "sampling": sampling,
        "start": start,
        "classifier": classifier,
    }
    for part in config.parts:
        result[part] = measure[part](config)
        report.write_json("result.json", result)
        report.save_figure(draw(result), "meta_step.png")
    print(f"meta_step: {' '.join(config.parts)}; see {report.workdir}")


def problem(setting: Setting) -> tuple[Any, Any]:
    """Returns the parameters of Conv4 and a batch of tasks, random but always the same."""
    import jax
    import numpy as np

    from jaxdl.nn.fewshot import Conv4

    generator = np.random.default_rng(0)
    batch = {}
    for part, each in (("support", 1), ("query", setting.queries)):
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
    remat: bool = True,
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
        remat=remat,
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
        def __call__(self, images, *, use_running_average=False):
            for _ in range(4):
                images = nn.Conv(64, (3, 3), strides=(2, 2))(images)
                images = nn.BatchNorm(use_running_average, momentum=0.0, epsilon=1e-3)(images)
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
    if _torch():
        from experiments.benchmarks import torch_peers

        contenders["matrix product, PyTorch"] = torch_peers.matmul(side)
    return {"contenders": contenders, "flop": 2 * side**3}


def speed(config: Config) -> list[dict[str, Any]]:
    """Measures tasks per second; prints one table a setting."""
    from experiments.benchmarks import timing

    rows, steps_per_call = [], 4
    for setting in settings(config):
        params, batch = problem(setting)
        steps = {"jaxdl": jax_step(setting, params, batch, steps_per_call=steps_per_call)}
        absent = {}
        if config.naive and not rows:
            steps["JAX, vmap(nn.Conv)"] = jax_step(setting, params, batch, naive=True)
        if _torch():
            from experiments.benchmarks import torch_peers

            peers = torch_peers.meta_steps(
                params,
                batch,
                lr=INNER_LR,
                steps=setting.inner_steps,
                first_order=setting.first_order,
            )
            absent = {name: step for name, step in peers.items() if isinstance(step, str)}
            steps |= {name: step for name, step in peers.items() if name not in absent}
        else:
            absent["PyTorch"] = "not measured: it is not installed (pip install torch)"
        _check_equal(timing.warm(steps))
        limit = ceiling()
        timing.warm(limit["contenders"])
        seconds = timing.race(steps | limit["contenders"], config.rounds, str(setting))
        seconds["jaxdl"] = [s / steps_per_call for s in seconds["jaxdl"]]
        flop = flop_per_task(setting)
        # The faster product of each round is what the machine can do at that moment.
        products = [seconds[name] for name in limit["contenders"]]
        limits = [min(of_round) for of_round in zip(*products, strict=True)]
        row = {"setting": str(setting), **dataclasses.asdict(setting), "contenders": {}}
        row |= {"gflop_per_task": flop / 1e9, "absent": absent}
        row["ceiling_gflop_per_s"] = timing.spread([limit["flop"] / s / 1e9 for s in limits])
        print(f"\n{setting}: {setting.tasks} tasks a step, {flop / 1e9:.2f} GFLOP a task")
        print(f"  {'':28s}{'tasks/s':>9s} {'(min - max)':>15s} {'jaxdl is':>9s} {'of limit':>9s}")
        for name in steps:
            rate = timing.spread([setting.tasks / s for s in seconds[name]])
            share = timing.spread(
                [
                    flop * setting.tasks / s * limit_s / limit["flop"]
                    for s, limit_s in zip(seconds[name], limits, strict=True)
                ]
            )
            ratio = timing.times_faster(seconds, "jaxdl", name)
            row["contenders"][name] = {
                "tasks_per_s": rate,
                "share_of_ceiling": share,
                "jaxdl_is_times_faster": ratio,
            }
            print(
                f"  {name:28s}{rate['median']:9.1f} ({rate['min']:6.1f} -{rate['max']:6.1f})"
                f"{ratio['median']:8.2f}x {share['median']:9.1%}"
            )
        for name, reason in absent.items():
            print(f"  {name:28s}{reason}")
        rows.append(row)
    return rows


def _check_equal(values: dict[str, tuple[float, float]]) -> None:
    """Raises RuntimeError unless all contenders have the loss and gradient norm of the first."""
    first = next(iter(values.values()))
    for name, value in values.items():
        if any(abs(v - f) > 1e-4 * max(1.0, abs(f)) for v, f in zip(value, first, strict=True)):
            raise RuntimeError(f"{name} has loss and gradient norm {value}, jaxdl {first}")


def growth(config: Config) -> dict[str, list[dict[str, float]]]:
    """Measures how the time of a step grows with each of its sizes."""
    from experiments.benchmarks import timing

    sizes = {"tasks": (4, 16, 64, 128), "way": (5, 10, 15, 20), "inner_steps": (1, 2, 5, 10)}
    curves = {}
    for name, values in sizes.items():
        steps = {}
        for value in values:
            setting = dataclasses.replace(Setting(queries=5, tasks=16), **{name: value})
            steps[str(value)] = jax_step(setting, *problem(setting))
        timing.warm(steps)
        seconds = timing.race(steps, config.rounds, f"growth with {name}")
        smallest = str(values[0])
        curves[name] = [
            {
                "size": value,
                "seconds": timing.spread(seconds[str(value)]),
                "times": timing.times_faster(seconds, smallest, str(value))["median"],
            }
            for value in values
        ]
        shown = ", ".join(f"{p['size']}: {p['times']:.2f}" for p in curves[name])
        print(f"\ntime of a step by {name}, in times of the first: {shown}")
    return curves


def memory(config: Config) -> list[dict[str, Any]]:
    """Measures temporary memory by inner steps with and without rematerialisation."""
    import jax
    import jax.numpy as jnp

    from experiments.benchmarks import timing
    from jaxdl.methods.fewshot import maml

    rows = []
    print("\ntemporary memory of a step with 8 tasks at once, 1 query a class, MB")
    print(f"  {'inner steps':12s}{'kept':>8s}{'recomputed':>12s}{'share':>8s}{'speed':>8s}")
    for inner_steps in (1, 2, 5, 10):
        setting = Setting(queries=1, inner_steps=inner_steps, tasks=8)
        _, batch = problem(setting)
        temporary, steps = {}, {}
        for remat in (False, True):
            made = maml.make(
                maml.Config(inner_steps=inner_steps, remat=remat, tasks_at_once=setting.tasks)
            )
            key = jax.random.key(0)
            state = jax.jit(made.init)(key, batch)
            program = jax.jit(made.train_step).lower(state, batch).compile()
            temporary[remat] = program.memory_analysis().temp_size_in_bytes / 2**20
            batch = jax.tree.map(jnp.asarray, batch)
            steps[str(remat)] = lambda run=program, s=state, b=batch: jax.block_until_ready(
                run(s, b)
            )
        timing.warm(steps)
        seconds = timing.race(steps, config.rounds, f"memory, {inner_steps} inner steps")
        row = {
            "inner_steps": inner_steps,
            "kept_mb": temporary[False],
            "recomputed_mb": temporary[True],
            "share": temporary[True] / temporary[False],
            "recomputed_is_times_faster": timing.times_faster(seconds, "True", "False"),
        }
        rows.append(row)
        print(
            f"  {inner_steps:<12d}{row['kept_mb']:8.1f}{row['recomputed_mb']:12.1f}"
            f"{row['share']:8.2f}{row['recomputed_is_times_faster']['median']:7.2f}x"
        )
    return rows


def sampling(config: Config) -> dict[str, Any]:
    """Measures what drawing the episodes inside the step costs."""
    import jax
    import jax.numpy as jnp
    import optax

    from experiments.benchmarks import timing
    from jaxdl.data.episodes import EpisodeSpec, sample_meta_batch
    from jaxdl.methods.fewshot import maml
    from jaxdl.train.step import compile_step, data_mesh

    setting = Setting(queries=5, tasks=config.tasks)
    spec = EpisodeSpec(way=setting.way, shot=1, queries=setting.queries)
    shape = (1100, 20, 28, 28)  # as many as Omniglot's training characters
    images = jax.random.bits(jax.random.key(0), shape, jnp.uint8)
    many = 32

    def sample(key, images):
        return sample_meta_batch(key, images, spec, setting.tasks)

    @jax.jit
    def draw_many(images):
        def body(total, index):
            batch = sample(jax.random.fold_in(jax.random.key(1), index), images)
            return total + sum(leaf.sum() for leaf in jax.tree.leaves(batch)), None

        return jax.lax.scan(body, 0.0, jnp.arange(many))[0]

    method = maml.make(maml.Config(way=setting.way), optimizer=optax.adam(1e-3))
    call = compile_step(
        method.train_step, mesh=data_mesh(batch=setting.tasks), steps_per_call=4, sample=sample
    )
    state = method.init(jax.random.key(0), sample(jax.random.key(0), images))

    def steps():
        nonlocal state
        state, metrics = call(state, images)
        jax.block_until_ready(metrics)

    contenders = {"draw": lambda: draw_many(images).block_until_ready(), "steps": steps}
    timing.warm(contenders)
    seconds = timing.race(contenders, config.rounds, "sampling")
    drawn = setting.tasks * setting.way * (1 + setting.queries)
    result = {
        "images_per_s": timing.spread([drawn * many / s for s in seconds["draw"]]),
        "share_of_step": timing.spread(
            [(d / many) / (s / 4) for d, s in zip(seconds["draw"], seconds["steps"], strict=True)]
        ),
    }
    print(
        f"\nsampling ({setting}): {result['images_per_s']['median']:,.0f} images/s, "
        f"{result['share_of_step']['median']:.1%} of a step"
    )
    return result


# One step of the default experiment, without reading a data set.
FIRST_STEP = """
from jaxdl.train import runtime
runtime.configure()
import jax, numpy as np, optax
from jaxdl.data.episodes import EpisodeSpec, sample_meta_batch
from jaxdl.methods.fewshot import maml
from jaxdl.train.step import compile_step, data_mesh
images = np.random.default_rng(0).integers(0, 256, (1100, 20, 28, 28), np.uint8)
images = jax.device_put(images)
sample = lambda key, images: sample_meta_batch(key, images, EpisodeSpec(queries=5), 16)
method = maml.make(maml.Config(), optimizer=optax.adam(1e-3))
state = jax.jit(lambda key: method.init(key, sample(key, images)))(jax.random.key(0))
call = compile_step(method.train_step, mesh=data_mesh(batch=16), steps_per_call=1, sample=sample)
print(float(call(state, images)[1]["loss"][0]))
"""


def start(config: Config) -> dict[str, Any]:
    """Measures the time from the command to the first step, in processes of their own."""
    from experiments.benchmarks import timing

    seconds = {"cold": [], "warm": []}
    for _ in range(max(1, min(5, config.rounds))):
        with tempfile.TemporaryDirectory() as cache:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
            environment |= {"JAXDL_CACHE_DIR": cache}
            for which in seconds:
                begin = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-c", FIRST_STEP],
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    check=True,
                )
                seconds[which].append(time.perf_counter() - begin)
    result = {which: timing.spread(values) for which, values in seconds.items()}
    pairs = zip(seconds["warm"], seconds["cold"], strict=True)
    result["warm_against_cold"] = timing.spread([warm / cold for warm, cold in pairs])
    print(
        f"\nfrom the command to the first step: {result['cold']['median']:.1f} s with an empty "
        f"program cache, {result['warm']['median']:.1f} s with a filled one "
        f"({result['warm_against_cold']['median']:.2f} of it)"
    )
    return result


def classifier(config: Config) -> dict[str, Any]:
    """Measures the supervised step, one and several steps in a call."""
    from experiments.benchmarks import classifier as mnist
    from experiments.benchmarks import timing

    images, labels = mnist.batch()
    steps_per_call = 16
    steps = {"jaxdl, 16 steps a call": mnist.jax_step(images, labels, steps_per_call)}
    steps["jaxdl, 1 step a call"] = mnist.jax_step(images, labels, 1)
    steps["nn.Conv, 1 step a call"] = mnist.jax_step(images, labels, 1, naive=True)
    steps["nn.Conv, 16 steps a call"] = mnist.jax_step(images, labels, steps_per_call, naive=True)
    if _torch():
        from experiments.benchmarks import torch_peers

        steps["PyTorch"] = torch_peers.classifier_step(images, labels)
    timing.warm(steps)
    seconds = timing.race(steps, config.rounds, "classifier")
    for name in steps:
        if "16" in name:
            seconds[name] = [s / steps_per_call for s in seconds[name]]
    fastest = "jaxdl, 16 steps a call"
    result = {}
    print(f"\nMNIST network, batch {len(images)}")
    print(f"  {'':28s}{'images/s':>9s} {'16 a call is':>14s}")
    for name, values in seconds.items():
        result[name] = {
            "images_per_s": timing.spread([len(images) / s for s in values]),
            "jaxdl_is_times_faster": timing.times_faster(seconds, fastest, name),
        }
        rate, ratio = result[name]["images_per_s"], result[name]["jaxdl_is_times_faster"]
        print(f"  {name:28s}{rate['median']:9,.0f} {ratio['median']:13.2f}x")
    return result


def draw(result: dict[str, Any]) -> Any:
    """Draws what was measured: speed, growth and memory."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.2), layout="constrained")
    speeds, growths, memories = figure.subplots(1, 3)
    for row in result.get("speed", []):
        rates = {n: c["tasks_per_s"]["median"] for n, c in row["contenders"].items()}
        speeds.plot(list(rates.values()), list(rates), "o", label=row["setting"])
    speeds.set(xscale="log", xlabel="tasks per second", title="one outer step")
    for name, points in result.get("growth", {}).items():
        sizes = [p["size"] / points[0]["size"] for p in points]
        growths.plot(sizes, [p["times"] for p in points], "o-", label=name)
    growths.axline((1, 1), slope=1, color="grey", linestyle="--", linewidth=0.8)
    growths.set(xscale="log", yscale="log", title="growth; dashed: in proportion")
    growths.set(xlabel="size, in times of the smallest", ylabel="time, in times of the smallest")
    rows = result.get("memory", [])
    for key, label in (("kept_mb", "kept"), ("recomputed_mb", "recomputed")):
        memories.plot([r["inner_steps"] for r in rows], [r[key] for r in rows], "o-", label=label)
    memories.set(xlabel="inner steps", ylabel="temporary memory, MB", title="rematerialisation")
    for axes in (speeds, growths, memories):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    return figure


def _torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
