"""MAML for regression (Finn, Abbeel and Levine, 2017, arXiv 1703.03400, section 5.1).

Shapes: T tasks, K support points, Q query points, X inputs, Y outputs, S inner steps.
A batch is `{"support": {"x": [T, K, X], "y": [T, K, Y]}, "query": {...}}`, the query with Q for K,
and, for evaluation, `"weight": [T]`.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl.methods.fewshot.configs import Regression as Config
from jaxdl.methods.fewshot.inner import adapt
from jaxdl.ops.metrics import Moments
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import gradient_step, map_examples


def make(
    config: Config,
    *,
    network: nn.Module | None = None,
    optimizer: optax.GradientTransformation | None = None,
    axis_name: str | None = None,
) -> Method:
    """Makes the training and evaluation steps; the loss is the mean squared error.

    Args:
      config: the settings.
      network: maps inputs [B, X] to outputs [B, Y]. None for the paper's two layers of 40 units.
      optimizer: of the outer loop. None for Adam at 1e-3.
      axis_name: see `jaxdl.train.step.gradient_step`.

    Returns:
      A Method whose examples are tasks. It predicts `prediction` [T, S + 1, Q, Y], after 0 to S
      inner steps. Its evaluation gives `squared_error/after_s_steps` of each s.

    Raises:
      ValueError: when a setting is out of its range.
    """
    if config.inner_steps < 0 or config.eval_inner_steps < 0 or not config.inner_lr > 0:
        raise ValueError(f"inner steps must be 0 or more and the rate positive, got {config}")
    network = network or nn.Sequential([nn.Dense(40), nn.relu, nn.Dense(40), nn.relu, nn.Dense(1)])
    optimizer = optimizer or optax.adam(1e-3)

    def error(params, points):
        return jnp.mean((network.apply({"params": params}, points["x"]) - points["y"]) ** 2)

    def task_loss(params, task):
        adapted = adapt(
            error, params, task["support"], lr=config.inner_lr, steps=config.inner_steps
        )
        return error(adapted, task["query"])

    def loss(params, extra, key, batch):
        del key
        return map_examples(task_loss)(params, tasks(batch)).mean(), (extra, {})

    def tasks(batch):
        return {part: batch[part] for part in ("support", "query")}

    def follow(params, task):
        def step(params, _):
            predicted = network.apply({"params": params}, task["query"]["x"])
            return adapt(error, params, task["support"], lr=config.inner_lr, steps=1), predicted

        return jax.lax.scan(step, params, None, length=config.eval_inner_steps + 1)[1]

    def init(key: jax.Array, batch: Any) -> TrainState:
        params = network.init(key, batch["support"]["x"][0])["params"]
        return TrainState.start(params, optimizer, (), key)

    def predict(state: TrainState, inputs: Any) -> dict[str, jax.Array]:
        asked = {"support": inputs["support"], "query": {"x": inputs["query"]["x"]}}
        return {"prediction": jax.vmap(follow, (None, 0))(state.params, asked)}

    def eval_step(state: TrainState, batch: Any) -> dict[str, Moments]:
        predicted = predict(state, tasks(batch))["prediction"]
        errors = ((predicted - batch["query"]["y"][:, None]) ** 2).mean((2, 3))
        moments = Moments.of(errors, batch["weight"])
        steps = range(config.eval_inner_steps + 1)
        return {f"squared_error/after_{step}_steps": moments.at(step) for step in steps}

    protocol = {"inner_steps": config.inner_steps, "eval_inner_steps": config.eval_inner_steps}
    train_step = gradient_step(loss, optimizer, axis_name=axis_name)
    return Method(init, train_step, predict, eval_step, protocol)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch of straight lines."""
    del axis_name
    slope_key, x_key = jax.random.split(jax.random.key(0))
    x = jax.random.normal(x_key, (8, 7, 1))
    y = jax.random.normal(slope_key, (8, 1, 1)) * x
    batch = {
        "support": {"x": x[:, :4], "y": y[:, :4]},
        "query": {"x": x[:, 4:], "y": y[:, 4:]},
        "weight": jnp.ones(8),
    }
    return Config(inner_lr=0.1, eval_inner_steps=2), nn.Dense(1), batch
