"""The table's bookkeeping, with runs that only pretend."""

import itertools
import json
import subprocess
import types
from pathlib import Path

import pytest

from experiments import episodic_runs, omniglot_table
from jaxdl.train import command


def pretend(argv, check, calls, code=0):
    """Leaves the result that an experiment would."""
    calls.append(argv)
    if code:
        return types.SimpleNamespace(returncode=code)
    options = dict(itertools.pairwise(argv))
    folder = Path(options["--workdir"])
    folder.mkdir(parents=True, exist_ok=True)
    name = "result.json"
    if "--eval-only" in argv:
        assert (folder / "result.json").exists()
        name = f"result-glyphs-{options['--way']}w{options['--shot']}s.json"
    accuracy = {"mean": 0.9, "ci95": 0.01, "episodes": 10}
    metrics = {f"accuracy/{mode}": accuracy for mode in ("inductive", "transductive")}
    protocol = {"way": int(options.get("--way", 5)), "shot": int(options.get("--shot", 1))}
    result = {
        "experiment": argv[2],
        "metrics": metrics,
        "seconds": 120.0,
        "steps": 1,
        "protocol": protocol,
    }
    (folder / name).write_text(json.dumps(result))
    return types.SimpleNamespace(returncode=0)


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(subprocess, "run", lambda argv, check: pretend(argv, check, made))
    return made


def run(folder, *argv):
    argv = ("--workdir", str(folder), "--dataset", "glyphs", *argv)
    return command.run(omniglot_table.main, omniglot_table.Config, argv=argv)


def test_runs_what_is_missing_once(calls, tmp_path, capsys):
    assert run(tmp_path, "--methods", "ProtoNet", "MAML") == 0
    # MAML: two runs, the 20-way ones are for a GPU; ProtoNet: one, and three tests of it.
    assert len(calls) == 2 + 4
    assert sum("--eval-only" in argv for argv in calls) == 3
    table = (tmp_path / "table.md").read_text()
    maml = next(line for line in table.splitlines() if line.startswith("| MAML |"))
    assert maml.count("90.00 ± 1.00 / 90.00 ± 1.00, 2 min") == 2
    assert maml.count("not run") == 2
    assert "[- / 98.7]" in maml
    protonet = next(line for line in table.splitlines() if line.startswith("| ProtoNet |"))
    assert protonet.count("90.00 ± 1.00") == 8
    assert "- ProtoNet 20w5s: `python -m experiments.omniglot_protonet" in table
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    assert "6 cells of 2 methods" in capsys.readouterr().out.splitlines()[-1]
    assert run(tmp_path, "--methods", "ProtoNet", "MAML") == 0
    assert len(calls) == 6


def test_columns_and_times(calls, tmp_path):
    assert run(tmp_path, "--hours", "0") == 0
    assert not calls
    assert run(tmp_path, "--methods", "MAML", "--columns", "20w1s", "--longest", "day") == 0
    assert len(calls) == 1
    # A further cell needs the run that it tests.
    assert run(tmp_path, "--methods", "ProtoNet", "--columns", "20w1s") == 0
    assert len(calls) == 3


def test_mistakes_and_failures(monkeypatch, tmp_path, capsys):
    assert run(tmp_path, "--methods", "SVM") == 2
    assert "there is no method SVM; choose from MAML, FOMAML" in capsys.readouterr().err
    for code, expected in ((2, 2), (130, 130)):
        monkeypatch.setattr(
            subprocess,
            "run",
            lambda argv, check, code=code: pretend(argv, check, [], code),
        )
        assert run(tmp_path, "--methods", "MAML") == expected
    assert "MAML 5w1s failed with exit code 2" in capsys.readouterr().err


def test_every_command_is_understood():
    import importlib

    for of in episodic_runs.RUNS:
        module = importlib.import_module(f"experiments.{of.module}")
        presets = getattr(module, "PRESETS", None)
        argv = of.command(of.columns[0], "runs/x")[3:]
        config = command.parse(module.Config, presets, argv)
        assert f"{config.way}w{config.shot}s" == of.columns[0]
