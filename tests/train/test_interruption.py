"""Interruption: signals and kills, and runs that go on as if there had been none."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from jaxdl.train.loop import Interrupted
from tests.train import toy
from tests.train.toy import rows, run


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts():
    """A process that a shell started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its folder, and what `run` returned."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@pytest.mark.parametrize("where", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_exactly(whole, tmp_path, where, signum):
    folder, result = whole
    calls = []

    def call(compiled, state, data):
        if len(calls) == where:
            os.kill(os.getpid(), signum)
        calls.append(where)
        return compiled(state, data)

    with pytest.raises(
        Interrupted, match=f"{signum.name} after step {5 * where + 5} of 40"
    ) as stop:
        run(tmp_path, call)
    assert (stop.value.signum, stop.value.step) == (signum, 5 * where + 5)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    assert run(tmp_path) == result
    assert rows(tmp_path) == rows(folder)


def test_a_signal_during_evaluation(whole, tmp_path):
    folder, result = whole
    measure = toy.make(0.1)[3]

    def evaluate(state):
        os.kill(os.getpid(), signal.SIGTERM)
        return measure(state)

    for step in (10, 20, 30, 40):
        with pytest.raises(Interrupted) as stop:
            run(tmp_path, evaluate=evaluate)
        assert stop.value.step == step
    assert run(tmp_path) == result
    assert rows(tmp_path) == rows(folder)


def test_the_best_is_the_same_when_stopped_before_its_evaluation(tmp_path):
    def stop(compiled, state, data):
        if state.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return compiled(state, data)

    def die(state):
        raise RuntimeError("killed")

    def evaluate(state):
        return {"accuracy": -abs(int(state.step) - 10.0)}

    with pytest.raises(Interrupted, match="after step 10"):
        run(tmp_path, stop, evaluate)
    with pytest.raises(RuntimeError, match="killed"):
        run(tmp_path, evaluate=die)
    assert run(tmp_path, evaluate=evaluate)[1] == 10
    valid = [(r["step"], r["accuracy"]) for r in rows(tmp_path) if r["split"] == "valid"]
    assert valid == [(10, 0), (20, -10), (30, -20), (40, -30)]


def test_a_second_interrupt_does_not_wait(tmp_path):
    def call(compiled, state, data):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same one, passed on by a launcher
        time.sleep(0.6)
        os.kill(os.getpid(), signal.SIGINT)
        return compiled(state, data)

    with pytest.raises(KeyboardInterrupt) as stop:
        run(tmp_path, call)
    assert not isinstance(stop.value, Interrupted)
    assert signal.getsignal(signal.SIGINT) == signal.default_int_handler


def test_trains_outside_the_main_thread(whole, tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(run(tmp_path)))
    thread.start()
    thread.join()
    assert results == [whole[1]]


def test_killed_at_any_moment(whole, tmp_path):
    folder, (expected, _) = whole
    command = [sys.executable, "-W", "error", "-m", "tests.train.toy", "--pause", "0.05"]
    command += ["--workdir", str(tmp_path)]
    # As conftest has it for this process: other programs round differently.
    environment = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    moments = random.Random(0)
    for _ in range(4):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        next((line for line in process.stdout if line.startswith("step")), None)
        time.sleep(moments.uniform(0.0, 0.3))
        process.kill()
        process.communicate()
    last = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    assert last.stdout.splitlines()[-1] == expected
    assert rows(tmp_path) == rows(folder)
