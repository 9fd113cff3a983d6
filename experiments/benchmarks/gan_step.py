"""How fast one iteration of GANomaly and of DCGAN is, beside two programs and beside PyTorch.

python -m experiments.benchmarks.gan_step      # minutes on two CPU cores
pip install -e '.[bench]'                      # optional: PyTorch

An iteration updates generator and discriminator (Adam) on 64 images. Contenders run in turn; a
ratio is the median over the rounds of the ratio within a round. GANomaly's start from the same
parameters and must agree in both losses before they are timed; DCGAN's draw their own latents.

fused       the method's step: one program, ten steps a call
one a call  the same step, one a call
separate    a program for the generator's update and one for the discriminator's; GANomaly's hands
            its reconstructions over
PyTorch     eager, see `torch_gan`

The limit is the speed of a matrix product of 2048 x 2048 in the same rounds; the work is what XLA
counts in one fused step, also for the others, which do some of it twice.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.benchmarks import timing
from experiments.benchmarks.contenders import (
    race_with_products,
    torch_is_installed,
    use_float32,
)
from jaxdl.train import command, options

SIZES = {"GANomaly": 32, "DCGAN": 28}
LOSSES = ("generator_loss", "discriminator_loss")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Timings of adversarial training steps."""

    ganomaly_features: tuple[int, ...] = (8, 64)
    """Channels next to the image of each GANomaly."""
    dcgan_features: tuple[int, ...] = (32,)
    """Channels next to the image of each DCGAN."""
    batch: int = 64
    """Images in an iteration."""
    rounds: int = 5
    """How often each contender is timed."""
    iterations: int = 10
    """Of each contender in a round."""
    workdir: Path = Path("runs/gan_step")
    """Where the numbers and the plot go."""


def main(config: Config) -> None:
    """Measures, prints a table, writes the numbers and the plot."""
    import jax

    from jaxdl.train.report import Report

    options.require_positive(config, "batch", "rounds", "iterations")
    use_float32()
    report = Report(config.workdir)
    chosen = [("GANomaly", features) for features in config.ganomaly_features]
    chosen += [("DCGAN", features) for features in config.dcgan_features]
    result = {}
    for kind, features in chosen:
        name = f"{kind}, {features} channels"
        contenders, flop = make(kind, features, config.batch, config.iterations)
        check_equal(kind, timing.warm(contenders))
        seconds, limits = race_with_products(contenders, config.rounds, name)
        images = config.batch * config.iterations
        print(f"\n{name}, batch {config.batch}, {jax.device_count()} {jax.default_backend()}s")
        print(f"  {'':12s}{'images/s':>9s} {'fused is':>9s} {'(min - max)':>16s} {'of limit':>9s}")
        result[name] = {}
        for contender, values in seconds.items():
            rate = timing.spread([images / s for s in values])
            ratio = timing.times_faster(seconds, "fused", contender)
            share = timing.spread(
                [
                    flop * config.iterations / s / limit
                    for s, limit in zip(values, limits, strict=True)
                ]
            )
            result[name][contender] = {
                "images_per_s": rate,
                "fused_is_times_faster": ratio,
                "share_of_ceiling": share,
            }
            print(
                f"  {contender:12s}{rate['median']:9,.0f} {ratio['median']:8.2f}x "
                f"({ratio['min']:6.2f} -{ratio['max']:6.2f}) {share['median']:9.1%}"
            )
    report.write_json("result.json", result)
    report.save_figure(draw(result), "gan_step.png")
    print(f"gan_step: {', '.join(result)}; see {report.workdir}")


def make(
    kind: str, features: int, batch: int, iterations: int
) -> tuple[dict[str, Callable[[], dict[str, float]]], float]:
    """Returns the contenders, and the floating-point operations of a fused step.

    Each contender takes `iterations` steps and gives the losses of the first.

    Args:
      kind: `GANomaly` or `DCGAN`.
      features: channels next to the image.
      batch: images in a step.
      iterations: steps of a call.
    """
    import jax
    import numpy as np
    from flax.traverse_util import unflatten_dict

    from experiments.benchmarks import gan_separate
    from jaxdl.methods.gan import gan, ganomaly
    from jaxdl.nn.gan import Discriminator, Generator
    from jaxdl.train.step import compile_step, data_mesh

    size = SIZES[kind]
    images = np.tanh(np.random.default_rng(0).standard_normal((batch, size, size, 1), np.float32))
    data = jax.device_put({"image": images})
    if kind == "GANomaly":
        settings = ganomaly.Config(size=size, features=features, restart_below=0)
        networks = ganomaly.networks(settings)
        method, halves = ganomaly.make(settings), gan_separate.ganomaly(settings, networks)
    else:
        networks = Generator(size, features=features), Discriminator(features)
        method = gan.make(gan.Config(), network=networks)
        halves = gan_separate.gan(gan.Config(), networks)
    start = jax.jit(method.init)(jax.random.key(0), data)
    peer = None
    if torch_is_installed():
        from experiments.benchmarks import torch_gan

        networks = torch_gan.make(kind, size, features)
        if kind == "GANomaly":
            flat = {name: np.asarray(p) for name, p in networks[0].parameters_of_jaxdl().items()}
            start = start._replace(params=unflatten_dict(flat, sep="/"))
        tensor = torch_gan.tensor(images)
        peer = torch_gan.STEPS[kind](*networks)
    mesh = data_mesh(batch=batch, independent=False)

    def ours(*steps, a_call=1):
        calls = [
            compile_step(step, mesh=mesh, sample=lambda key, data: data, steps_per_call=a_call)
            for step in steps
        ]
        state = start
        if len(steps) > 1:
            state = state._replace(extra=state.extra | {"made": data["image"]})
        state = jax.tree.map(jax.numpy.copy, state)  # a call donates it

        def run():
            nonlocal state
            first = {}
            for _ in range(iterations // a_call):
                metrics = {}
                for call in calls:
                    state, found = call(state, data)
                    metrics |= found
                first = first or metrics
            jax.block_until_ready(state)
            return {name: float(first[name][0]) for name in LOSSES}

        return run

    contenders = {
        "fused": ours(method.train_step, a_call=iterations),
        "one a call": ours(method.train_step),
        "separate": ours(*halves),
    }
    if peer is not None:

        def pytorch():
            losses = [peer(tensor) for _ in range(iterations)]
            torch_gan.wait()
            return {name: float(losses[0][name]) for name in LOSSES}

        contenders["PyTorch"] = pytorch
    program = jax.jit(method.train_step).lower(start, data).compile()
    return contenders, program.cost_analysis()["flops"]


def check_equal(kind: str, losses: dict[str, dict[str, float]]) -> None:
    """Raises RuntimeError unless GANomaly's contenders have the same losses.

    Args:
      kind: `GANomaly`; others draw latents of their own and are not compared.
      losses: of the first step, by contender.
    """
    first = losses["fused"]
    for name, found in losses.items():
        for loss, value in found.items() if kind == "GANomaly" else ():
            if not abs(value - first[loss]) <= 1e-4 * abs(first[loss]):
                raise RuntimeError(f"{name} has {loss} {value}, not {first[loss]}")


def draw(result: dict[str, Any]) -> Any:
    """Draws images a second by setting and contender."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.subplots()
    for name, contenders in result.items():
        rates = {n: c["images_per_s"]["median"] for n, c in contenders.items()}
        axes.plot(list(rates.values()), list(rates), "o", label=name)
    axes.set(xscale="log", xlabel="images per second, both networks updated")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
