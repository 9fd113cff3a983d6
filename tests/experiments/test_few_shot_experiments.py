"""Every few-shot experiment, from the command line to its files, on a few glyphs."""

import importlib
import json
import pkgutil
from pathlib import Path

import pytest

import experiments
from experiments import omniglot_baselines
from jaxdl.data import characters, glyphs
from jaxdl.problems import episodes
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command, options

NAMES = [
    found.name
    for found in pkgutil.iter_modules(experiments.__path__)
    if found.name.startswith("omniglot_")
    and issubclass(importlib.import_module(f"experiments.{found.name}").Config, configs.FewShot)
    and found.name != "omniglot_maml"  # test_omniglot_maml.py
]


@pytest.fixture(autouse=True)
def _few_characters(monkeypatch):
    made = glyphs.load(classes=120)
    monkeypatch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_run_leaves_its_files_and_ends_with_one_line(name, tmp_path, capsys):
    module = importlib.import_module(f"experiments.{name}")
    argv = ["--workdir", str(tmp_path), "--steps", "4", "--eval-every", "2", "--log-every", "2"]
    argv += ["--episodes", "6", "--eval-episodes", "4", "--meta-batch", "2"]
    assert command.run(module.main, module.Config, argv=argv, stored=configs.stored) == 0
    names = {"config.json", "metrics.jsonl", "result.json", "curves.png", "episode.png"}
    assert names <= {file.name for file in tmp_path.iterdir()}
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["experiment"] == name
    assert result["metrics"]["accuracy/inductive"]["count"] == 6
    assert "inductive" in capsys.readouterr().out.splitlines()[-1]


def test_baselines_are_better_than_chance(tmp_path, capsys):
    argv = ["--workdir", str(tmp_path), "--episodes", "24", "--eval-queries", "3"]
    assert command.run(omniglot_baselines.main, omniglot_baselines.Config, argv=argv) == 0
    assert {"config.json", "result.json", "episode.png"} <= {f.name for f in tmp_path.iterdir()}
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    assert len(metrics) == 3
    for value in metrics.values():
        assert value["mean"] - value["ci95"] > 0.25
    last = capsys.readouterr().out.splitlines()[-1]
    assert "nearest neighbour" in last
    assert str(tmp_path) in last


def test_switches_name_the_folder_of_a_run():
    maml = options.changed(
        importlib.import_module("experiments.omniglot_maml").Config(),
        {"dataset": "glyphs", "shot": 5},
    )
    switched = options.changed(maml, {"first_order": True, "bfloat16": True, "eval_only": True})
    folders = [str(episodes.folder("omniglot_maml", c)) for c in (maml, switched)]
    plain = str(Path("runs/omniglot_maml-glyphs-5w5s-seed0"))
    assert sorted(folders) == [plain, f"{plain}-bfloat16-first_order"]
