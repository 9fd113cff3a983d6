"""What a training says of itself: the rows of metrics.jsonl, and a bar or lines for a person."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping

import jax
import numpy as np
import tqdm

from jaxdl.train import processes
from jaxdl.train.finite import check_values
from jaxdl.train.report import Report


class Progress:
    """Logs the metrics and shows them: a bar on a terminal, a line for each row elsewhere."""

    def __init__(
        self,
        report: Report,
        step: int,
        steps: int,
        steps_per_call: int,
        log_every: int,
        rate_unit: tuple[str, int],
        seconds: float,
    ):
        """Says that the step is being compiled.

        Args:
          report: the folder of the run.
          step: from which the run goes on.
          steps: of the whole run.
          steps_per_call: over which the metrics that `train` takes are stacked.
          log_every: steps between rows.
          rate_unit: what the rate counts, and how many of it one step takes.
          seconds: that the run has taken before.
        """
        self._report = report
        self._step, self._steps = step, steps
        self._steps_per_call, self._log_every = steps_per_call, log_every
        self._unit, self._per_step = rate_unit
        self._started = time.monotonic() - seconds  # as if the run had never been interrupted
        self._mark = (time.monotonic(), step)  # where the rate is measured from
        self._bar = None
        self._shown = processes.is_main()
        if not self._shown:
            return
        if step:
            print(f"going on from step {step:,} of {steps:,}", flush=True)
        if sys.stderr.isatty():
            self._bar = tqdm.tqdm(
                desc="compiling",
                total=steps * self._per_step,
                initial=step * self._per_step,
                unit=f" {self._unit}",
                unit_scale=True,
                dynamic_ncols=True,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining} left, {rate_fmt}{postfix}",
            )
        elif step < steps:
            print("compiling", flush=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def train(self, step: int, metrics: Mapping[str, jax.Array]) -> None:
        """Waits for the metrics of the call that ended at `step`; logs them when a row is due."""
        values = {name: np.asarray(v) for name, v in jax.device_get(metrics).items()}
        for name, value in values.items():
            if value.shape != (self._steps_per_call,):
                raise ValueError(
                    f"expected metrics of shape [{self._steps_per_call}], one value for each step "
                    f"of a call, got {name} of shape {list(value.shape)}"
                )
        check_values(values, step - self._steps_per_call + 1)
        means = {name: float(value.mean(dtype=np.float64)) for name, value in values.items()}
        if self._bar is not None:
            self._bar.set_description_str(f"step {step:,}/{self._steps:,}", refresh=False)
            self._bar.set_postfix_str(_text(means), refresh=False)
            self._bar.update((step - self._step) * self._per_step)
        self._step = step
        if step % self._log_every and step != self._steps:
            return
        now = time.monotonic()
        rate = (step - self._mark[1]) / max(now - self._mark[0], 1e-9)
        self._mark = (now, step)
        self._row("train", means | {"rate": rate * self._per_step})
        if self._bar is None and self._shown:
            left = tqdm.tqdm.format_interval((self._steps - step) / rate)
            print(
                f"step {step:,}/{self._steps:,}  {_text(means)}, "
                f"{rate * self._per_step:,.0f} {self._unit}/s, {left} left",
                flush=True,
            )

    def valid(self, values: Mapping[str, float]) -> None:
        """Logs an evaluation of the state after the latest step."""
        self._row("valid", values)
        self._report.flush()
        if self._shown:
            (print if self._bar is None else self._bar.write)(
                f"step {self._step:,}/{self._steps:,}  validation: {_text(values)}"
            )

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time spent inside out of the rate."""
        before = time.monotonic()
        yield
        self._mark = (self._mark[0] + time.monotonic() - before, self._mark[1])

    def _row(self, split: str, values: Mapping[str, float]) -> None:
        seconds = time.monotonic() - self._started
        self._report.log({"step": self._step, "split": split, **values, "seconds": seconds})


def _text(values: Mapping[str, float]) -> str:
    usual = [name for name in ("loss", "accuracy") if name in values] or list(values)[:2]
    return ", ".join(f"{name} {values[name]:.4g}" for name in usual)
