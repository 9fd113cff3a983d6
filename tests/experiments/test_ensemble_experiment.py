import json

import pytest

from experiments import fashion_ensemble
from jaxdl.data import images
from jaxdl.train import command, run


@pytest.mark.slow
def test_members_an_ensemble_and_one_that_learned_from_it(tmp_path, capsys):
    argv = ("--members", "3", "--size", "8", "--channels", "4", "8", "--hidden", "16")
    argv += ("--epochs", "6", "--student-epochs", "6", "--learning-rate", "0.01")
    argv += ("--workdir", str(tmp_path))
    module = fashion_ensemble
    assert command.run(module.main, module.Config, argv=argv) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    # The loss is convex: the mean probability has at most the mean loss.
    assert metrics["ensemble/loss"]["mean"] < metrics["mean of the members/loss"]["mean"]
    assert metrics["distilled into one/accuracy"]["mean"] > 0.5
    assert 0 < metrics["disagreement"]["mean"] < 0.5
    for name in ("curves.png", "reliability.png", "disagreement.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert "| ensemble, majority | " in (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out.splitlines()[-1].startswith("fashion_ensemble: a member")
    trained = run.restore(tmp_path)
    test = images.digits()["test"]
    right = (trained.predict(test["image"]).argmax(-1) == test["label"]).mean()
    assert right == pytest.approx(metrics["ensemble/accuracy"]["mean"])
    one = run.restore(tmp_path / "distilled").predict(test["image"]).argmax(-1)
    assert (one == test["label"]).mean() == pytest.approx(
        metrics["distilled into one/accuracy"]["mean"]
    )
    assert command.run(module.main, module.Config, argv=("--members", "1", *argv[2:])) == 2
    assert "--workdir" in capsys.readouterr().err
