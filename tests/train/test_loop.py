"""The loop: the order of its work, what it logs and shows, what it refuses."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.finite import NonFinite
from jaxdl.train.loop import fit
from jaxdl.train.report import Report
from jaxdl.train.state import TrainState
from tests.train.toy import rows, run


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder, and what `run` returned."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def test_two_runs_are_identical(whole, tmp_path):
    folder, result = whole
    assert run(tmp_path) == result
    assert rows(tmp_path) == rows(folder)
    assert [r["step"] for r in rows(folder) if r["split"] == "train"] == list(range(5, 41, 5))
    assert [r["step"] for r in rows(folder) if r["split"] == "valid"] == [10, 20, 30, 40]


def test_a_finished_run_is_left_as_it_is(whole):
    folder, result = whole
    before = (folder / "metrics.jsonl").read_text()
    assert run(folder) == result
    assert (folder / "metrics.jsonl").read_text() == before


def test_metrics_are_read_one_call_late(tmp_path):
    events = []

    class Lazy:
        def __init__(self, call):
            self.call = call

        def __array__(self, dtype=None, copy=None):
            events.append(f"read {self.call}")
            return np.zeros(1)

    def call(state, data):
        events.append(f"call {data}")
        return state._replace(step=state.step + 1), {"loss": Lazy(data)}

    state = TrainState(jnp.int32(0), jnp.zeros(1), (), (), jax.random.key(0))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        fit(
            call,
            state,
            lambda step: step,
            steps=4,
            steps_per_call=1,
            evaluate=lambda s: events.append("evaluate") or {},
            eval_every=3,
            log_every=1,
            checkpoints=checkpoints,
            report=Report(tmp_path),
            metadata={},
            score=None,
        )
    assert events == [
        *("call 0", "call 1", "read 0", "call 2", "read 1", "read 2", "evaluate"),
        *("call 3", "read 3", "evaluate"),
    ]


def test_a_loss_that_is_not_finite_names_the_step(tmp_path):
    def call(compiled, state, data):
        state, metrics = compiled(state, data)
        bad = jnp.where(state.step - jnp.arange(5)[::-1] >= 23, jnp.nan, metrics["loss"])
        return state, {"loss": bad}

    for _ in range(2):  # the same command ends at the same place, and nothing is lost
        with pytest.raises(NonFinite, match="loss is nan at step 23; the checkpoint of step 20"):
            run(tmp_path, call)
        assert rows(tmp_path)[-1]["step"] == 20


def test_parameters_that_are_not_finite_are_not_saved(tmp_path):
    def call(compiled, state, data):
        state, metrics = compiled(state, data)
        return state._replace(params={**state.params, "b": jnp.float32("inf")}), metrics

    with pytest.raises(NonFinite, match="parameters are not finite after step 5; no checkpoint"):
        run(tmp_path, call, eval_every=5)


def test_an_evaluation_that_is_not_finite(tmp_path):
    with pytest.raises(NonFinite, match="accuracy is nan at step 10; no checkpoint"):
        run(tmp_path, evaluate=lambda state: {"accuracy": jnp.nan})


def test_checkpoints_of_another_run_are_refused(tmp_path):
    run(tmp_path, steps=10)
    with pytest.raises(ValueError, match=r"of another run: lr is 0.1 there and 0.2 here;"):
        run(tmp_path, metadata={"lr": 0.2})
    with pytest.raises(ValueError, match="from step 10 to step 5"):
        run(tmp_path, steps=5)


@pytest.mark.parametrize("name", ["steps", "eval_every", "log_every"])
@pytest.mark.parametrize("count", [7, 0, -5])
def test_counts_that_do_not_divide(tmp_path, name, count):
    with pytest.raises(ValueError, match=f"{name} must be a positive multiple .* = 5, got {count}"):
        run(tmp_path, **{name: count})
    assert not list(tmp_path.iterdir())


def test_metrics_that_are_not_stacked(tmp_path):
    def call(compiled, state, data):
        state, metrics = compiled(state, data)
        return state, {"loss": metrics["loss"].mean()}

    with pytest.raises(ValueError, match=r"shape \[5\], .* got loss of shape \[\]"):
        run(tmp_path, call)


def test_lines_without_a_terminal(tmp_path, capsys):
    run(tmp_path, rate_unit=("tasks", 8))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "compiling"
    assert lines[1].startswith("step 5/40  loss ")
    assert "tasks/s, " in lines[1]
    assert lines[-1].startswith("step 40/40  validation: accuracy 0.")
    run(tmp_path)
    assert capsys.readouterr().out == "going on from step 40 of 40\n"


def test_a_bar_on_a_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(tmp_path, rate_unit=("tasks", 8))
    shown = capsys.readouterr()
    assert "step 40/40 100%" in shown.err
    assert " tasks/s, loss " in shown.err
    assert all("validation: " in line for line in shown.out.split("\n") if line)


def test_the_seconds_of_a_resumed_run_add_up(tmp_path):
    run(tmp_path)
    path = tmp_path / "metrics.jsonl"
    old = [json.loads(line) | {"seconds": 1000.0} for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row) + "\n" for row in old if row["split"] == "train"))
    run(tmp_path)  # evaluates once more, since that row is missing
    assert 1000 < Report(tmp_path).seconds() < 1100
