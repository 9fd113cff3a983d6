"""The training loop: resumes exactly, never waits for a number, stops cleanly."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxdl.train import processes
from jaxdl.train.finite import NonFinite, check_parameters, check_values
from jaxdl.train.progress import Progress
from jaxdl.train.report import Report, WorkdirError, completed, differences
from jaxdl.train.state import TrainState

if TYPE_CHECKING:  # it brings in Orbax
    from jaxdl.train.checkpoint import Checkpoints


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, after the state was saved; `signum` and `step` say which and where."""

    def __init__(self, message: str, signum: int, step: int):
        super().__init__(message)
        self.signum, self.step = signum, step


def fit(
    call: Callable[[TrainState, Any], tuple[TrainState, Mapping[str, jax.Array]]],
    state: TrainState,
    feed: Callable[[int], Any],
    *,
    steps: int,
    steps_per_call: int,
    evaluate: Callable[[TrainState], Mapping[str, float]],
    eval_every: int,
    log_every: int,
    checkpoints: "Checkpoints",
    report: Report,
    metadata: Mapping[str, Any],
    score: str | None = "accuracy",
    rate_unit: tuple[str, int] = ("steps", 1),
    patience: int | None = None,
    watch: str = "-loss",
) -> TrainState:
    """Trains to `steps`, going on from the newest checkpoint when there is one.

    A run that was stopped or killed and then resumed gives, bit for bit, the state of one that
    was not; metrics.jsonl differs only in `rate` and `seconds`. While call n runs, the metrics of
    call n - 1 are read and logged, so the device never waits for a number, and at most two calls
    are in flight.

    The rows of metrics.jsonl hold the means over the steps of one call, not over all the steps
    since the last row, so that they do not depend on where a run was interrupted.

    Several processes take the same steps; the first alone keeps the folder and its checkpoints and
    sends the state to the others when a run goes on. A signal to any of them stops all.

    Args:
      call: a compiled step, `(state, data) -> (state, metrics)`; the metrics are scalars stacked
        over the `steps_per_call` steps; the state may be donated.
      state: where a new run starts; also the template of the checkpoint.
      feed: gives the second argument of `call` from the number of steps taken; must be pure.
      steps: of the whole run, counted from its beginning.
      steps_per_call: of one call; must divide `steps`, `eval_every` and `log_every`.
      evaluate: validation metrics of a state.
      eval_every: steps between evaluations; one more comes at the end; a checkpoint follows each.
      log_every: steps between rows of metrics.jsonl.
      checkpoints: where to save and to resume from.
      report: the folder of the run.
      metadata: JSON object stored in each checkpoint: config, protocol.
      score: the name in `evaluate`'s result by which the best checkpoint is kept, the one with the
        highest value, or, with a minus before the name, the lowest; None for none.
      rate_unit: what the rate counts, and how many of it one step takes.
      patience: stop early, after that many evaluations in a row none of which is better than the
        best before them; None for never.
      watch: by what that is judged, as `score` says it.

    Returns:
      The state after `steps` steps, or fewer with `patience`; it is in the newest checkpoint too.

    Raises:
      NonFinite: a metric or a parameter is not finite; names the step, counted from 1.
      Interrupted: Ctrl-C or SIGTERM came; the state is saved. A second Ctrl-C does not wait.
      ValueError: the counts of steps do not divide, or the folder is of another run.
    """
    if steps_per_call < 1:
        raise ValueError(f"steps_per_call must be at least 1, got {steps_per_call}")
    for name, count in (("steps", steps), ("eval_every", eval_every), ("log_every", log_every)):
        if count < 1 or count % steps_per_call:
            raise ValueError(
                f"{name} must be a positive multiple of steps_per_call = {steps_per_call}, "
                f"got {count}"
            )
    with report.exclusive(), _Signals() as signals:
        state = _resume(state, checkpoints, metadata)
        done = saved = int(state.step)
        flag = processes.Flag()
        if done > steps or done % steps_per_call:
            raise ValueError(
                f"cannot go from step {done} to step {steps} by {steps_per_call} steps a call"
            )
        rows = report.truncate_after(done)
        valid = any((row["step"], row["split"]) == (done, "valid") for row in rows)
        evaluated = done if processes.agree(valid) else 0
        before = rows[-1]["seconds"] if rows else 0.0
        pending = None

        def is_exhausted(rows):
            return patience is not None and bool(processes.agree(_exhausted(rows, patience, watch)))

        exhausted = is_exhausted(rows)
        with (
            _naming_what_is_kept(checkpoints),
            Progress(report, done, steps, steps_per_call, log_every, rate_unit, before) as log,
        ):
            while True:
                stopping = flag.seen(signals.received or 0)
                due = done > 0 and (done % eval_every == 0 or done == steps)
                if pending and (due or stopping):
                    log.train(*pending)
                    pending = None
                if due and not stopping and evaluated != done:
                    with log.paused():
                        values = {name: float(v) for name, v in evaluate(state).items()}
                        check_values({k: np.array([v]) for k, v in values.items()}, done)
                        check_parameters(state, done)
                        report.flush()  # a resumed run finds all rows of before its checkpoint
                        checkpoints.save(
                            state,
                            metadata=metadata,
                            score=_judged(values, score) if score else None,
                        )
                        # Last: this row tells a resumed run that the checkpoint has its score.
                        log.valid(values)
                    saved = evaluated = done
                    exhausted = is_exhausted(report.rows())
                    continue  # a signal may have come meanwhile
                if stopping or exhausted or done == steps:
                    break
                previous = pending
                state, metrics = call(state, feed(done))
                done += steps_per_call
                pending = (done, metrics)
                if previous:
                    log.train(*previous)
            if saved != done:  # stopped between two evaluations
                check_parameters(state, done)
                report.flush()
                checkpoints.save(state, metadata=metadata)
            checkpoints.wait()
        if stopping := stopping or flag.seen(signals.received or 0, now=True):
            where = f"after step {done} of {steps}, saved in {checkpoints.directory}"
            signum = signal.Signals(stopping)
            raise Interrupted(
                f"stopped by {signum.name} {where if done else 'before the first step'}",
                signum,
                done,
            )
    return state


def _resume(
    state: TrainState, checkpoints: "Checkpoints", metadata: Mapping[str, Any]
) -> TrainState:
    if not processes.agree(checkpoints.latest_step() is not None):
        return state
    if processes.is_main():
        state, there = checkpoints.restore(state)
        if differing := differences(completed(there, metadata), metadata):
            raise WorkdirError(
                f"the checkpoints in {checkpoints.directory} are of another run: "
                f"{', '.join(differing)}; choose another --workdir"
            )
    return processes.send(state)


def _judged(values: Mapping[str, float], name: str) -> float:
    return -values[name[1:]] if name.startswith("-") else values[name]


def _exhausted(rows: Sequence[Mapping[str, Any]], patience: int, watch: str) -> bool:
    """Says whether none of the last `patience` evaluations is better than the best before."""
    found = [_judged(row, watch) for row in rows if row["split"] == "valid"]
    return len(found) > patience and max(found[-patience:]) <= max(found[:-patience])


@contextlib.contextmanager
def _naming_what_is_kept(checkpoints: "Checkpoints") -> Iterator[None]:
    try:
        yield
    except NonFinite as found:
        checkpoints.wait()
        last = checkpoints.latest_step()
        kept = "no checkpoint yet" if last is None else f"the checkpoint of step {last} is kept"
        raise NonFinite(
            f"{found}; {kept}; this command would end here again: "
            "try a smaller learning rate in another --workdir"
        ) from None


class _Signals:
    """Notes Ctrl-C and SIGTERM instead of stopping at once; a second Ctrl-C stops at once."""

    received: signal.Signals | None = None

    def __enter__(self) -> "_Signals":
        self._since = 0.0
        self._previous = {}
        if threading.current_thread() is threading.main_thread():  # Python allows it only there
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._previous[signum] = signal.signal(signum, self._note) or signal.SIG_DFL
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: object) -> None:
        del frame
        now = time.monotonic()
        if self.received is None:
            self.received, self._since = signal.Signals(signum), now
            # print is not safe in a signal handler
            os.write(2, b"\nsaving after this call; Ctrl-C again stops at once\n")
        elif signum == signal.SIGINT and now - self._since > 0.5:  # launchers pass one on twice
            raise KeyboardInterrupt
