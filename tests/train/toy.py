"""The smallest experiment that uses the whole engine: linear regression, 40 steps, a second long.

python -m tests.train.toy --workdir DIR
"""

import dataclasses
import functools
import json
import sys
import time

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Linear regression."""

    workdir: str = "runs/toy"
    """Where everything is written."""
    lr: float = 0.1
    """Learning rate."""
    pause: float = 0.0
    """Seconds to wait in each call, so that a test can interrupt it."""


@functools.cache
def make(lr):
    """Returns (call of five steps, init, data, measure)."""
    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl.train.state import TrainState

    optimizer = optax.adam(lr)
    x = jax.random.normal(jax.random.key(1), (32, 4))
    data = {"x": x, "y": x @ jnp.arange(4.0) + 1}

    def init():
        params = {"w": jnp.zeros(4), "b": jnp.zeros(())}
        return TrainState(jnp.int32(0), params, optimizer.init(params), (), jax.random.key(0))

    def loss(params, x, y):
        return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)

    def step(state, data):
        rows = jax.random.randint(jax.random.fold_in(state.key, state.step), (8,), 0, 32)
        value, gradient = jax.value_and_grad(loss)(state.params, data["x"][rows], data["y"][rows])
        update, opt_state = optimizer.update(gradient, state.opt_state)
        params = optax.apply_updates(state.params, update)
        return TrainState(state.step + 1, params, opt_state, (), state.key), {"loss": value}

    def call(state, data):
        return jax.lax.scan(lambda s, _: step(s, data), state, None, length=5)

    def measure(state):
        return {"accuracy": jnp.exp(-loss(state.params, data["x"], data["y"]))}

    return jax.jit(call, donate_argnums=0), init, data, jax.jit(measure)


def run(folder, call=None, evaluate=None, lr=0.1, **options):
    """Trains in `folder`; returns the digest of the state and the best step."""
    from jaxdl.train.checkpoint import Checkpoints
    from jaxdl.train.digest import digest
    from jaxdl.train.loop import fit
    from jaxdl.train.report import Report

    compiled, init, data, measure = make(lr)
    options = {
        "steps": 40,
        "steps_per_call": 5,
        "eval_every": 10,
        "log_every": 5,
        "metadata": {"lr": lr},
        "report": Report(folder),
    } | options
    with Checkpoints(options["report"].workdir / "checkpoints") as checkpoints:
        state = fit(
            (lambda state, data: call(compiled, state, data)) if call else compiled,
            init(),
            lambda step: data,
            evaluate=evaluate or measure,
            checkpoints=checkpoints,
            **options,
        )
        return digest(state), checkpoints.best_step()


def rows(folder):
    """Returns the rows of metrics.jsonl without the fields of wall-clock time."""
    timed = {"rate", "seconds"}
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


def main(config):
    from jaxdl.train.report import Report

    def slow(compiled, state, data):
        time.sleep(config.pause)
        return compiled(state, data)

    Report(config.workdir).check_config({"lr": config.lr})
    print(run(config.workdir, slow, lr=config.lr)[0])


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
