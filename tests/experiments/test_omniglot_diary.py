import json

import pytest

from experiments import omniglot_diary
from jaxdl.data import characters, glyphs
from jaxdl.train import command


@pytest.mark.slow
def test_only_adaptation_learns_new_characters(tmp_path, monkeypatch, capsys):
    made = glyphs.load(classes=240)
    monkeypatch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))
    argv = ["--workdir", str(tmp_path), "--steps", "40", "--meta-batch", "8", "--episodes", "40"]
    assert command.run(omniglot_diary.main, omniglot_diary.Config, argv=argv) == 0
    assert {"config.json", "result.json", "curves.png"} <= {f.name for f in tmp_path.iterdir()}
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    for learner in ("shared", "memorised"):
        assert abs(metrics[f"accuracy/{learner}"]["mean"] - 0.2) < 0.1
    assert metrics["accuracy/adapted"]["mean"] > 0.5
    rows = (tmp_path / "memorised" / "metrics.jsonl").read_text().splitlines()
    own = [json.loads(row)["accuracy"] for row in rows if '"train"' in row]
    assert own[-1] > 0.5 > metrics["accuracy/memorised"]["mean"]
    assert "adapted" in capsys.readouterr().out.splitlines()[-1]
