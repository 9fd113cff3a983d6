import json

import pytest

from experiments import mnist_transfer
from jaxdl.train import command


@pytest.mark.slow
def test_five_networks_of_the_other_digits(tmp_path, capsys):
    module = mnist_transfer
    argv = ("--first-epochs", "8", "--epochs", "4", "--workdir", str(tmp_path))
    assert command.run(module.main, module.Config, argv=argv) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    assert len(metrics) == 5
    frozen, once = (
        metrics[name]["accuracy"]["value"] for name in ("convolutions frozen", "features once")
    )
    assert frozen > 0.9
    assert once == pytest.approx(frozen, abs=0.03)  # the same, but for what is dropped
    said = capsys.readouterr().out
    assert "params/Conv_*: 3 leaves loaded" in said
    assert said.splitlines()[-1].startswith("mnist_transfer: from nothing ")
    assert (tmp_path / "by_class.png").exists()


def test_mistakes_are_one_sentence(tmp_path, capsys):
    module = mnist_transfer
    assert command.run(module.main, module.Config, argv=("--examples", "0")) == 2
    assert "--examples must be positive" in capsys.readouterr().err
