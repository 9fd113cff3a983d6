"""From a method, a sampler and data to a trained state: what every run has in common."""

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.loop import fit
from jaxdl.train.report import Report
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import compile_step, data_mesh


def train(
    method: Method,
    sample: Callable[[jax.Array, Any], Any],
    data: Any,
    *,
    batch: int,
    unit: str,
    seed: int,
    steps: int,
    steps_per_call: int,
    evaluate: Callable[[TrainState], Mapping[str, float]],
    eval_every: int,
    log_every: int,
    report: Report,
    metadata: Mapping[str, Any],
    keep: int = 2,
    independent: bool = True,
    score: str | None = None,
    patience: int | None = None,
) -> TrainState:
    """Trains a method on all devices that can share a batch; goes on where the folder stopped.

    Args:
      method: to train; its parameters start from `seed`.
      sample: draws a batch from `data` inside the compiled step: `(key, data) -> batch`.
      data: arrays, on the device.
      batch: examples of a batch, which the devices share evenly.
      unit: what an example is called in the log: `images`, `tasks`.
      seed: of the parameters and of the batches.
      steps: see `jaxdl.train.loop.fit`, as for all that follows.
      steps_per_call: of one compiled call.
      evaluate: validation metrics of a state.
      eval_every: steps between evaluations.
      log_every: steps between rows of metrics.jsonl.
      report: the folder of the run; the checkpoints are in `checkpoints` there.
      metadata: stored in each checkpoint.
      keep: the newest checkpoints that are kept; the second is for when the first is damaged.
      independent: whether examples meet nowhere but in the gradient, see `data_mesh`.
      score: the metric by which the best checkpoint is kept too; None for none.
      patience: see `jaxdl.train.loop.fit`.

    Returns:
      The state after `steps` steps, or fewer with `patience`.
    """
    state = jax.jit(lambda key: method.init(key, sample(key, data)))(jax.random.key(seed))
    step = compile_step(
        method.train_step,
        mesh=data_mesh(batch=batch, independent=independent),
        sample=sample,
        steps_per_call=steps_per_call,
    )
    with Checkpoints(report.workdir / "checkpoints", keep) as checkpoints:
        return fit(
            step,
            state,
            lambda _: data,
            steps=steps,
            steps_per_call=steps_per_call,
            evaluate=evaluate,
            eval_every=eval_every,
            log_every=log_every,
            checkpoints=checkpoints,
            report=report,
            metadata=metadata,
            score=score,
            rate_unit=(unit, batch),
            patience=patience,
        )
