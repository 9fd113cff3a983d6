"""How fast the few-shot training step is, beside PyTorch, naive JAX and the machine's own limit.

python -m experiments.benchmarks.meta_step                        # tens of minutes on two CPU cores
python -m experiments.benchmarks.meta_step --parts speed --settings all
pip install -e '.[bench]'                                         # optional: PyTorch

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
import os
import platform
import sys
from pathlib import Path
from typing import Any, Literal

from experiments.benchmarks import costs, timing
from experiments.benchmarks.contenders import (
    INNER_LR,
    Setting,
    check_equal,
    flop_per_task,
    jax_step,
    problem,
    race_with_products,
    torch_is_installed,
    use_float32,
)
from jaxdl.train import command, options

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


def main(config: Config) -> None:
    """Measures, prints tables, writes the numbers and the plots."""
    import jax

    from jaxdl.train.report import Report

    options.require_positive(config, "tasks", "rounds")
    use_float32()
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
        "growth": lambda config: costs.growth(config.rounds),
        "memory": lambda config: costs.memory(config.rounds),
        "sampling": lambda config: costs.sampling(config.rounds, config.tasks),
        "start": lambda config: costs.start(config.rounds),
        "classifier": classifier,
    }
    for part in config.parts:
        result[part] = measure[part](config)
        report.write_json("result.json", result)
        report.save_figure(draw(result), "meta_step.png")
    print(f"meta_step: {' '.join(config.parts)}; see {report.workdir}")


def speed(config: Config) -> list[dict[str, Any]]:
    """Measures tasks per second; prints one table a setting."""
    rows, steps_per_call = [], 4
    for setting in settings(config):
        params, batch = problem(setting)
        steps = {"jaxdl": jax_step(setting, params, batch, steps_per_call=steps_per_call)}
        absent = {}
        if config.naive and not rows:
            steps["JAX, vmap(nn.Conv)"] = jax_step(setting, params, batch, naive=True)
        if torch_is_installed():
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
        check_equal(timing.warm(steps))
        seconds, limits = race_with_products(steps, config.rounds, str(setting))
        seconds["jaxdl"] = [s / steps_per_call for s in seconds["jaxdl"]]
        flop = flop_per_task(setting)
        row = {"setting": str(setting), **dataclasses.asdict(setting), "contenders": {}}
        row |= {"gflop_per_task": flop / 1e9, "absent": absent}
        row["ceiling_gflop_per_s"] = timing.spread([limit / 1e9 for limit in limits])
        print(f"\n{setting}: {setting.tasks} tasks a step, {flop / 1e9:.2f} GFLOP a task")
        print(f"  {'':28s}{'tasks/s':>9s} {'(min - max)':>15s} {'jaxdl is':>9s} {'of limit':>9s}")
        for name in steps:
            rate = timing.spread([setting.tasks / s for s in seconds[name]])
            share = timing.spread(
                [
                    flop * setting.tasks / s / limit
                    for s, limit in zip(seconds[name], limits, strict=True)
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


def classifier(config: Config) -> dict[str, Any]:
    """Measures 16 supervised steps, one and all of them in a call."""
    from experiments.benchmarks import classifier as mnist

    images, labels = mnist.batch()
    steps = 16

    def in_turn(step):
        return lambda: [step() for _ in range(steps)]

    contenders = {
        "jaxdl, 16 steps a call": mnist.jax_step(images, labels, steps),
        "jaxdl, 1 step a call": in_turn(mnist.jax_step(images, labels, 1)),
        "nn.Conv, 1 step a call": in_turn(mnist.jax_step(images, labels, 1, naive=True)),
        "nn.Conv, 16 steps a call": mnist.jax_step(images, labels, steps, naive=True),
    }
    if torch_is_installed():
        from experiments.benchmarks import torch_peers

        contenders["PyTorch"] = in_turn(torch_peers.classifier_step(images, labels))
    timing.warm(contenders)
    seconds = timing.race(contenders, config.rounds, "classifier")
    fastest = "jaxdl, 16 steps a call"
    result = {}
    print(f"\nMNIST network, batch {len(images)}")
    print(f"  {'':28s}{'images/s':>9s} {'16 a call is':>14s}")
    for name, values in seconds.items():
        result[name] = {
            "images_per_s": timing.spread([steps * len(images) / s for s in values]),
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
    for shots in (1, 5):
        rows = [row for row in result.get("memory", []) if row["shots"] == shots]
        for key in ("kept", "recomputed"):
            memories.plot(
                [row["inner_steps"] for row in rows],
                [row[f"{key}_mb"] for row in rows],
                "o-",
                label=f"{key}, {shots}-shot",
            )
    memories.set(xlabel="inner steps", ylabel="temporary memory, MB", title="rematerialisation")
    for axes in (speeds, growths, memories):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    return figure


def _version(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
