"""Two processes on this machine, which find one another by the network, are one program."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxdl.methods.supervised import classifier
from jaxdl.nn.classify import MLP
from jaxdl.train import processes
from jaxdl.train.checkpoint import Checkpoints
from tests.train.toy import rows

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ("--size", "8", "--hidden", "16", "--learning-rate", "0.05")
OTHERS = {
    "mnist_gan": ("--steps", "20", "--eval-every", "10", "--samples", "40"),
    "mnist_ganomaly": ("--anomalies", "0", "--epochs", "1", "--resamples", "5"),
    "mnist_distill": ("--teacher-epochs", "2", "--epochs", "2"),
}


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(workdir, *options, process=None, where=None, devices=2, experiment="mnist_mlp"):
    """Starts an experiment, alone or as one of two processes."""
    if process is not None:
        others = {"coordinator": f"127.0.0.1:{where}", "processes": 2, "process": process}
        options += ("--distributed", "--peer-timeout", "10")
        options += tuple(str(o) for name, v in others.items() for o in (f"--{name}", v))
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": str(devices), "PYTHONUNBUFFERED": "1"}
    network = NETWORK if experiment == "mnist_mlp" else ()
    command = [sys.executable, "-m", f"experiments.{experiment}", "--workdir", str(workdir)]
    return subprocess.Popen(
        [*command, *network, *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def two(workdir, *options, **more):
    where = port()
    return [start(workdir, *options, process=process, where=where, **more) for process in (0, 1)]


def ended(started):
    """Returns the exit code, standard output and standard error of each."""
    found = []
    for process in started:
        out, err = process.communicate(timeout=600)
        found.append((process.returncode, out, err))
    return found


def parameters(workdir):
    method = classifier.make(classifier.Config(), network=MLP((16,)))
    batch = {"image": np.zeros((1, 8, 8, 1), np.float32)}
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        step = checkpoints.latest_step()
        about = checkpoints._about[step]
        names = [name for name in about["leaves"] if name.startswith(".params")]
        assert names == [
            f".params{jax.tree_util.keystr(path)}"
            for path, _ in jax.tree_util.tree_flatten_with_path(
                jax.eval_shape(method.init, jax.random.key(0), batch).params
            )[0]
        ]
        found = checkpoints._manager.restore(step).state
    return step, {name: found[name] for name in names}


def wait_for(process, pattern, lines):
    for line in process.stdout:
        lines.append(line)
        if re.search(pattern, line):
            return
    pytest.fail("".join(lines))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    [(code, _, err)] = ended([start(folder, "--epochs", "4", devices=4)])
    assert code == 0, err
    return folder


def test_two_of_two_devices_are_one_of_four_even_when_stopped(alone, tmp_path):
    folder = tmp_path / "run"
    started = two(folder, "--epochs", "4")
    lines = []
    wait_for(started[0], "step 40/80  validation", lines)
    started[1].send_signal(signal.SIGTERM)  # to the one that writes nothing
    stopped = ended(started)
    assert [code for code, _, _ in stopped] == [143, 143], stopped
    assert all("stopped by SIGTERM after step" in err for _, _, err in stopped)
    assert stopped[1][1].count("\n") == stopped[1][1].count("[Gloo]")  # says nothing else
    step, _ = parameters(folder)
    assert 40 <= step < 80
    (code, out, err), other = ended(two(folder, "--epochs", "4"))
    assert code == other[0] == 0, err + other[2]
    assert f"going on from step {step} of 80" in out
    (last, expected), (found_last, found) = parameters(alone), parameters(folder)
    assert last == found_last == 80
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
    for one, both in zip(rows(alone), rows(folder), strict=True):
        assert one.pop("split") == both.pop("split")
        assert one == pytest.approx(both, rel=1e-3)
    results = [json.loads((path / "result.json").read_text()) for path in (alone, folder)]
    assert results[0]["metrics"]["accuracy"] == results[1]["metrics"]["accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_ends_the_others_and_the_run_goes_on(alone, tmp_path, killed):
    folder = tmp_path / "run"
    started = two(folder, "--epochs", "4000")
    wait_for(started[0], "step 40/80,000  validation", [])
    started[killed].kill()
    began = time.monotonic()
    found = ended(started)
    assert time.monotonic() - began < 30
    assert found[killed][0] == -9
    assert found[1 - killed][0] in (-6, 1)
    # Whichever it notices first: that it cannot reach the other, or that the other has died.
    assert f"process {1 - killed} ended because" in found[1 - killed][2]
    assert parameters(folder)[0] >= 20
    started = two(folder, "--epochs", "4000")
    wait_for(started[0], "going on from step", [])
    started[0].send_signal(signal.SIGINT)
    assert [code for code, _, _ in ended(started)] == [130, 130]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", OTHERS)
def test_experiments_of_several_parts(tmp_path, experiment):
    for _ in range(2):  # a finished one again: all its parts are there
        first, second = ended(two(tmp_path, *OTHERS[experiment], experiment=experiment))
        assert first[0] == second[0] == 0, first[2] + second[2]
        assert first[1].splitlines()[-1].endswith(f"; see {tmp_path}")
        assert (tmp_path / "result.json").exists()


@pytest.mark.slow
def test_a_mistake_that_only_the_first_sees_ends_all(tmp_path):
    (tmp_path / "run").write_text("")  # no folder
    (first, _, err), (other, _, said) = ended(two(tmp_path / "run", "--epochs", "4"))
    assert first == 2
    assert err.startswith("error: cannot ")
    assert other in (1, 2, -6), said  # it sees the same, or that the first is gone


def test_nobody_to_find():
    found = ended([start("unused", "--distributed")])
    assert found[0][0] == 2
    assert "give --coordinator HOST:PORT, --processes and --process" in found[0][2]


def test_one_process_agrees_with_itself():
    assert processes.count() == 1
    assert processes.is_main()
    assert processes.agree(3) == 3
    assert processes.Flag().seen(15) == 15
    tree = {"key": jax.random.key(0)}
    assert processes.send(tree) is tree
