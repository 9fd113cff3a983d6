import json

import pytest

from experiments import mnist_transfer
from jaxdl.data import images
from jaxdl.train import command, run


@pytest.mark.slow
def test_five_networks_of_the_other_digits(tmp_path, capsys):
    module = mnist_transfer
    argv = ("--first-epochs", "8", "--epochs", "4", "--workdir", str(tmp_path))
    assert command.run(module.main, module.Config, argv=argv) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    assert len({name.split("/")[0] for name in metrics}) == 5
    frozen, once = (
        metrics[f"{name}/accuracy"]["mean"] for name in ("convolutions frozen", "features once")
    )
    assert frozen > 0.9
    assert once == pytest.approx(frozen, abs=0.03)  # the same, but for what is dropped
    said = capsys.readouterr().out
    assert "params/Conv_*: 3 leaves loaded" in said
    assert said.splitlines()[-1].startswith("mnist_transfer: from nothing ")
    assert (tmp_path / "by_class.png").exists()
    test = images.digits()["test"]
    later = test["label"] >= 5
    trained = run.restore(tmp_path / "convolutions_frozen")
    found = trained.predict(test["image"][later]).argmax(-1) + 5
    assert (found == test["label"][later]).mean() == pytest.approx(frozen)
    with pytest.raises(ValueError, match="several networks"):
        run.restore(tmp_path)


def test_mistakes_are_one_sentence(tmp_path, capsys):
    module = mnist_transfer
    assert command.run(module.main, module.Config, argv=("--examples", "0")) == 2
    assert "--examples must be positive" in capsys.readouterr().err
