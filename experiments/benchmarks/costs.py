"""What a few-shot step costs besides its speed: by size, in memory, in sampling, at the start."""

import dataclasses
import itertools
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from experiments.benchmarks import timing
from experiments.benchmarks.contenders import Setting, jax_step, problem


def growth(rounds: int) -> dict[str, list[dict[str, float]]]:
    """Measures how the time of a step grows with each of its sizes."""
    sizes = {"tasks": (4, 16, 64, 128), "way": (5, 10, 15, 20), "inner_steps": (1, 2, 5, 10)}
    curves = {}
    for name, values in sizes.items():
        steps = {}
        for value in values:
            setting = dataclasses.replace(Setting(queries=5, tasks=16), **{name: value})
            steps[str(value)] = jax_step(setting, *problem(setting))
        timing.warm(steps)
        seconds = timing.race(steps, rounds, f"growth with {name}")
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


def memory(rounds: int) -> list[dict[str, Any]]:
    """Measures temporary memory by shots and inner steps, kept or computed again."""
    import jax
    import jax.numpy as jnp

    from jaxdl.methods.fewshot import maml

    rows = []
    print("\ntemporary memory of a step with 8 tasks at once, 1 query a class, MB")
    print(f"  {'shots':7s}{'inner steps':12s}{'kept':>8s}{'again':>8s}{'share':>8s}{'speed':>8s}")
    for shots, inner_steps in itertools.product((1, 5), (1, 2, 5, 10)):
        setting = Setting(shots=shots, queries=1, inner_steps=inner_steps, tasks=8)
        batch = jax.tree.map(jnp.asarray, problem(setting)[1])
        temporary, steps = {}, {}
        for remat in (False, True):
            made = maml.make(
                maml.Config(inner_steps=inner_steps, remat=remat, tasks_at_once=setting.tasks)
            )
            key = jax.random.key(0)
            state = jax.jit(made.init)(key, batch)
            program = jax.jit(made.train_step).lower(state, batch).compile()
            temporary[remat] = program.memory_analysis().temp_size_in_bytes / 2**20
            steps[str(remat)] = lambda run=program, s=state, b=batch: jax.block_until_ready(
                run(s, b)
            )
        timing.warm(steps)
        seconds = timing.race(steps, rounds, f"memory, {setting}")
        row = {
            "shots": shots,
            "inner_steps": inner_steps,
            "kept_mb": temporary[False],
            "recomputed_mb": temporary[True],
            "share": temporary[True] / temporary[False],
            "recomputed_is_times_faster": timing.times_faster(seconds, "True", "False"),
        }
        rows.append(row)
        print(
            f"  {shots:<7d}{inner_steps:<12d}{row['kept_mb']:8.1f}{row['recomputed_mb']:8.1f}"
            f"{row['share']:8.2f}{row['recomputed_is_times_faster']['median']:7.2f}x"
        )
    return rows


def sampling(rounds: int, tasks: int) -> dict[str, Any]:
    """Measures what drawing the episodes inside the step costs."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl.data.episodes import EpisodeSpec, sample_meta_batch
    from jaxdl.methods.fewshot import maml
    from jaxdl.train.step import compile_step, data_mesh

    setting = Setting(queries=5, tasks=tasks)
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
    seconds = timing.race(contenders, rounds, "sampling")
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


def start(rounds: int) -> dict[str, Any]:
    """Measures the time from the command to the first step, in processes of their own."""
    seconds = {"cold": [], "warm": []}
    for _ in range(min(5, rounds)):
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
