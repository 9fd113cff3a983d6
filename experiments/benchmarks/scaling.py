"""What it costs to share a few-shot step by several devices, and what that says of larger machines.

python -m experiments.benchmarks.scaling     # minutes on two CPU cores

The step is that of second-order MAML, 5-way 1-shot, with the sampling of its tasks. On one machine
the devices are simulated and share its cores, so their times show what sharing adds, not what it
gains. The collectives are those of the compiled program, the bytes those of their results on one
device.

strong    the same tasks for all numbers of devices
weak      the same tasks for each device
2 x 2     two processes of two devices

The projection is arithmetic, not a measurement. Weak scaling, a step takes

  flop of its tasks / (peak * utilisation) + 2 (n - 1) / n * bytes / bandwidth + hops * latency

with the peak, the bandwidth of a device in one direction, and the hops of a ring in each dimension
there and back, as the vendors give them; the utilisation and the latency of a hop are guesses.
"""

import dataclasses
import json
import math
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.benchmarks import timing
from experiments.benchmarks.contenders import Setting, flop_per_task
from jaxdl.train import command, options

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4}
_BYTES |= {"s64": 8, "u64": 8, "f64": 8}
_KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"


@dataclasses.dataclass(frozen=True)
class Machine:
    """What the projection assumes."""

    name: str
    """As printed."""
    sides: tuple[int, ...]
    """Devices along each dimension of its network."""
    peak: float
    """FLOP per second of a device, dense bfloat16."""
    bandwidth: float
    """Bytes per second that a device sends, and receives."""
    latency: float
    """Seconds of a hop."""
    utilisation: float = 0.1
    """Share of the peak: the convolutions are small."""


MACHINES = (
    # NVLink 4: 900 GB/s in both directions together; 989 TFLOP/s without sparsity.
    Machine("8 GPUs (H100, NVLink)", (8,), 989e12, 450e9, 2e-6),
    # 1,600 Gbit/s between chips in both directions together; 197 TFLOP/s.
    Machine("v5e-256", (16, 16), 197e12, 100e9, 1e-6),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Processes):
    """Collectives, overhead and a projection."""

    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of devices; simulated ones where there are none but CPUs."""
    tasks: int = 8
    """Of a step, in strong scaling."""
    tasks_each: int = 1
    """Of each device, in weak scaling."""
    rounds: int = 5
    """How often each is timed."""
    two_processes: bool = True
    """Whether two processes are tried, too."""
    workdir: Path = Path("runs/scaling")
    """Where the numbers go."""


def main(config: Config) -> None:
    """Measures, prints tables, writes the numbers."""
    if not config.distributed:
        os.environ["JAX_NUM_CPU_DEVICES"] = str(max(config.devices))
    import jax

    from jaxdl.train.report import Report

    options.require_positive(config, "tasks", "tasks_each", "rounds")
    if config.distributed:
        config = dataclasses.replace(config, devices=(jax.device_count(),))
    if max(config.devices) > jax.device_count():
        raise ValueError(f"--devices: there are {jax.device_count()}, got {max(config.devices)}")
    report = Report(config.workdir)
    result: dict[str, Any] = {"strong": {}, "weak": {}}
    for kind, rows in result.items():
        print(f"\n{kind} scaling, {jax.default_backend()}")
        print(f"  {'devices':>9s} {'tasks':>6s} {'collectives':>24s} {'bytes':>9s} {'ms':>8s}")
        for devices in config.devices:
            tasks = config.tasks if kind == "strong" else config.tasks_each * devices
            rows[str(devices)] = _show(str(devices), measure(devices, tasks, config.rounds))
        if config.two_processes and not config.distributed and 4 in config.devices:
            rows["2 x 2"] = _show("2 x 2", _two_processes(config)[kind]["4"])
    if not config.distributed:
        result["projection"] = _projection(result["weak"], config.tasks_each)
    report.write_json("result.json", result)
    print(f"scaling: {len(config.devices)} numbers of devices; see {report.workdir}")


def measure(devices: int, tasks: int, rounds: int) -> dict[str, Any]:
    """Compiles and times a step of some tasks, shared by some devices.

    Returns:
      `tasks`, `collectives` (how many of each kind), `bytes` (of a device in a step) and
      `milliseconds` of a step, the smallest of all rounds.
    """
    import jax
    import numpy as np

    from jaxdl.data.episodes import EpisodeSpec, sample_meta_batch
    from jaxdl.methods.fewshot import maml
    from jaxdl.train.step import compile_step, data_mesh

    images = np.random.default_rng(0).integers(0, 256, (50, 20, 28, 28), np.uint8)

    def sample(key, images):
        return sample_meta_batch(key, images, EpisodeSpec(way=5, shot=1, queries=15), tasks=tasks)

    method = maml.make(maml.Config(way=5))
    state = jax.jit(lambda key: method.init(key, sample(key, images)))(jax.random.key(0))
    step = compile_step(method.train_step, mesh=data_mesh(devices), sample=sample)
    found = collectives(step.lower(state, images).compile().as_text())

    def run():
        nonlocal state
        state, _ = step(state, images)
        jax.block_until_ready(state)

    timing.warm({"": run})
    seconds = timing.race({"": run}, rounds)[""]
    counts = {kind: sum(kind == each for each, _ in found) for kind, _ in found}
    return {
        "tasks": tasks,
        "collectives": counts,
        "bytes": sum(size for _, size in found),
        "milliseconds": 1000 * min(seconds),
    }


def collectives(program: str) -> list[tuple[str, int]]:
    """Returns kind and bytes of the result of each collective of a compiled program.

    >>> line = "%a = (f32[3,4]{1,0}, /*index=1*/f32[]) all-reduce(%x, %y), channel_id=1"
    >>> collectives(line + "; %b = u32[8,5]{1,0} all-gather-start(%z)")
    [('all-reduce', 52), ('all-gather', 160)]
    """
    found = []
    for shapes, kind in re.findall(rf"= (.*?) ({_KINDS})(?:-start)?\(", program):
        size = 0
        for name, sides in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            size += _BYTES[name] * math.prod(int(side) for side in sides.split(",") if side)
        found.append((kind, size))
    return found


def project(machine: Machine, flop: float, size: float) -> dict[str, float]:
    """Returns seconds of computing and of sharing in a step, and the efficiency, in [0, 1].

    Args:
      machine: what is assumed.
      flop: of the tasks of a device.
      size: bytes of a device that all add up.
    """
    devices = math.prod(machine.sides)
    compute = flop / (machine.peak * machine.utilisation)
    hops = sum(2 * (side - 1) for side in machine.sides)
    share = 2 * (devices - 1) / devices * size / machine.bandwidth + hops * machine.latency
    return {"compute_s": compute, "share_s": share, "efficiency": compute / (compute + share)}


def _projection(weak: dict[str, Any], tasks_each: int) -> dict[str, Any]:
    size = max(row["bytes"] for row in weak.values())
    print(f"\nprojection, weak scaling, {size:,} bytes in a step")
    print(f"  {'':24s}{'tasks each':>11s}{'compute ms':>11s}{'sharing ms':>11s}{'efficiency':>11s}")
    rows = {}
    for machine in MACHINES:
        for tasks in (tasks_each, 4, 32):
            found = project(machine, tasks * flop_per_task(Setting()), size)
            rows[f"{machine.name}, {tasks} tasks each"] = found
            print(
                f"  {machine.name:24s}{tasks:11d}{1000 * found['compute_s']:11.3f}"
                f"{1000 * found['share_s']:11.3f}{found['efficiency']:11.0%}"
            )
    return rows


def _show(name: str, row: dict[str, Any]) -> dict[str, Any]:
    counts = ", ".join(f"{count} {kind}" for kind, count in row["collectives"].items())
    print(
        f"  {name:>9s} {row['tasks']:6d} {counts:>24s} {row['bytes']:9,d} "
        f"{row['milliseconds']:8.1f}",
        flush=True,
    )
    return row


def _two_processes(config: Config) -> dict[str, Any]:
    """Runs this command in two processes of two devices, if it has not; returns their result."""
    path = config.workdir / "two" / "result.json"
    if not path.exists():
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{free.getsockname()[1]}"
        command_line = [
            *(sys.executable, "-m", "experiments.benchmarks.scaling", "--distributed"),
            *("--coordinator", where, "--processes", "2", "--workdir", str(path.parent)),
            *("--tasks", str(config.tasks), "--tasks-each", str(config.tasks_each)),
            *("--rounds", str(config.rounds)),
        ]
        started = [
            subprocess.Popen(
                [*command_line, "--process", str(process)],
                env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
                stdout=subprocess.DEVNULL,
            )
            for process in (0, 1)
        ]
        if codes := [code for each in started if (code := each.wait())]:
            raise RuntimeError(f"the two processes ended with {codes}")
    return json.loads(path.read_text())


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
