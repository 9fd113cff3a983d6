"""How fast a student learns, with its teacher in the step and without, and an ensemble in one step.

python -m experiments.benchmarks.distill_step     # minutes on two CPU cores
pip install -e '.[bench]'                         # optional: PyTorch

A distillation step is one of Adam on 128 images of 28 x 28 at T = 4; an ensemble's is one of Adam
for each of five members, which have 128 images each. Contenders run in turn, start from the same
parameters, and those of a setting must agree in the loss before they are timed; a ratio is the
median over the rounds of the ratio within a round.

live             the teacher in the step, ten steps a call
cached           the teacher's logits come with the batch
..., in parts    eight images at a time on each core
PyTorch, ...     the same, eager, see `torch_distill`
one step         all members in the step, ten steps a call
one by one       each member's own step, ten steps a call, one member after the other
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmarks import timing
from experiments.benchmarks.contenders import torch_is_installed, use_float32
from jaxdl.train import command, options

TEMPERATURE, HARD = 4.0, 0.1
Run = Callable[[], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Timings of distillation and of ensembles."""

    batch: int = 128
    """Images of a network in a step."""
    members: int = 5
    """Networks of the ensemble."""
    rounds: int = 7
    """How often each contender is timed."""
    steps: int = 10
    """Of each contender in a round."""
    workdir: Path = Path("runs/distill_step")
    """Where the numbers go."""


def main(config: Config) -> None:
    """Measures, prints a table, writes the numbers."""
    import jax

    from jaxdl.nn.classify import CNN, MLP
    from jaxdl.train.report import Report

    options.require_positive(config, "batch", "rounds", "steps")
    use_float32()
    report = Report(config.workdir)
    settings = {
        "perceptrons, 2 x 1200 teaches 2 x 800": lambda: distillation(
            config, MLP((800, 800)), MLP((1200, 1200))
        ),
        "convolutions, 32-64-256 teaches 16-32-64": lambda: distillation(
            config, CNN(((16,), (32,)), (64,)), CNN(((32,), (64,)), (256,)), microbatch=8
        ),
        f"{config.members} perceptrons of 128 units": lambda: ensemble(config, MLP((128,))),
        f"{config.members} of convolutions 16-32-64": lambda: ensemble(
            config, CNN(((16,), (32,)), (64,))
        ),
    }
    result = {}
    for name, make in settings.items():
        contenders = make()
        check_equal(timing.warm(contenders))
        seconds = timing.race(contenders, config.rounds, name)
        first = next(iter(contenders))
        print(f"\n{name}, batch {config.batch}, {jax.device_count()} {jax.default_backend()}s")
        print(f"  {'':16s}{'steps/s':>9s}  {first} is faster by (min - max)")
        result[name] = {}
        for contender, values in seconds.items():
            rate = timing.spread([config.steps / s for s in values])
            ratio = timing.times_faster(seconds, first, contender)
            result[name][contender] = {"steps_per_s": rate, f"{first}_is_times_faster": ratio}
            print(
                f"  {contender:16s}{rate['median']:9,.1f} {ratio['median']:8.2f}x "
                f"({ratio['min']:6.2f} -{ratio['max']:6.2f})"
            )
    report.write_json("result.json", result)
    print(f"distill_step: {len(result)} settings; see {report.workdir}")


def distillation(
    config: Config, student: Any, teacher: Any, *, microbatch: int | None = None
) -> dict[str, Run]:
    """Returns the contenders of a student and a teacher.

    Args:
      config: the settings.
      student: the network that learns.
      teacher: the network that it learns from.
      microbatch: of two further contenders; None for none.
    """
    import jax
    import numpy as np

    from jaxdl.methods.distill import distill

    batches = problem((config.steps, config.batch))
    first = jax.tree.map(lambda leaf: leaf[0], batches)
    variables = jax.jit(teacher.init)(jax.random.key(1), first["image"])
    settings = distill.Config(temperature=TEMPERATURE, hard=HARD)
    taught = distill.teacher(teacher, variables)
    live = distill.make(settings, network=(student, [taught]))
    cached = distill.make(settings, network=(student, ()))
    logits = np.stack(
        [
            distill.teacher_logits(settings, [taught], [variables], image)
            for image in batches["image"]
        ]
    )
    state = jax.jit(live.init)(jax.random.key(0), first)
    params = jax.device_get(state.params["student"])
    alone = state._replace(extra=state.extra | {"teachers": ()})
    contenders = {
        "live": run(live, state, batches),
        "cached": run(cached, alone, batches | {"teacher_logits": logits}),
    }
    if microbatch:
        settings = dataclasses.replace(settings, microbatch=microbatch)
        live = distill.make(settings, network=(student, [taught]))
        cached = distill.make(settings, network=(student, ()))
        shared = config.batch // microbatch
        contenders |= {
            "live, in parts": run(live, state, batches, shared=shared),
            "cached, in parts": run(
                cached, alone, batches | {"teacher_logits": logits}, shared=shared
            ),
        }
    if torch_is_installed():
        from experiments.benchmarks import torch_distill

        for name, once in (("PyTorch, live", False), ("PyTorch, cached", True)):
            contenders[name] = torch_distill.step(
                params,
                jax.device_get(variables["params"]),
                batches,
                temperature=TEMPERATURE,
                hard=HARD,
                cached=once,
            )
    return contenders


def ensemble(config: Config, network: Any) -> dict[str, Run]:
    """Returns the contenders of an ensemble of networks."""
    import jax

    from jaxdl.methods.ensemble import ensemble
    from jaxdl.methods.supervised import classifier

    batches = problem((config.steps, config.members, config.batch))
    together = ensemble.make(ensemble.Config(members=config.members), network=network)
    single = classifier.make(classifier.Config(), network=network)
    state = jax.jit(together.init)(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], batches))
    runs = []
    for index in range(config.members):
        own = jax.tree.map(lambda leaf, i=index: leaf[:, i], batches)
        alone = jax.jit(single.init)(jax.random.key(0), jax.tree.map(lambda leaf: leaf[0], own))
        alone = alone._replace(params=ensemble.member(state, index)["params"])
        runs.append(run(single, alone, own))
    return {
        "one step": run(together, state, batches, shared=config.members),
        "one by one": lambda: sum(each() for each in runs) / len(runs),
    }


def problem(shape: tuple[int, ...]) -> dict[str, Any]:
    """Returns random images [*shape, 28, 28, 1] and labels [*shape], always the same."""
    import numpy as np

    generator = np.random.default_rng(0)
    return {
        "image": generator.random((*shape, 28, 28, 1), np.float32),
        "label": generator.integers(0, 10, shape, dtype=np.int32),
    }


def run(method: Any, state: Any, batches: Any, *, shared: int | None = None) -> Run:
    """Returns a call of a step of a method for each batch, which gives the loss of the first.

    Args:
      method: to train.
      state: to start from.
      batches: what the steps learn from, one after the other.
      shared: members or microbatches that the devices share; None where a CPU's cores share
        products instead.
    """
    import jax

    from jaxdl.train.step import compile_step, data_mesh

    label = batches["label"]
    call = compile_step(
        method.train_step,
        mesh=data_mesh(batch=shared or label.shape[1], independent=shared is not None),
        steps_per_call=len(label),
    )
    data = jax.device_put(batches)
    state = jax.tree.map(jax.numpy.copy, state)  # a call donates it

    def steps():
        nonlocal state
        state, metrics = call(state, data)
        return float(metrics["loss"][0])

    return steps


def check_equal(losses: dict[str, float]) -> None:
    """Raises RuntimeError unless all contenders have the same loss in their first step."""
    first = next(iter(losses.values()))
    for name, loss in losses.items():
        if not abs(loss - first) <= 1e-4 * abs(first):
            raise RuntimeError(f"{name} has loss {loss}, not {first}")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
