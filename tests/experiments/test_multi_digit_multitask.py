import json

import numpy as np
import pytest

from experiments import multi_digit_multitask as module
from jaxdl.problems.overlapping import TASKS
from jaxdl.train import command
from jaxdl.train import run as runs


def run(*argv):
    return command.run(module.main, module.Config, module.PRESETS, argv=argv)


@pytest.mark.slow
def test_five_ways_to_share(tmp_path, capsys):
    assert run("--epochs", "20", "--channels", "8", "16", "--workdir", str(tmp_path)) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    names = {name.split("/")[0] for name in metrics}
    assert names == set(module.PARTS)
    for row in names:
        one, two, both = (metrics[f"{row}/{name}"]["mean"] for name in (*TASKS, "both"))
        assert one + two - 1 <= both <= min(one, two)
        assert min(one, two) > 0.5
    sizes = {name: metrics[f"{name}/parameters"]["mean"] for name in names}
    assert sizes["separate"] == sizes["soft sharing"] > sizes["hard sharing"]
    for name in ("by_task.png", "disputed.png", "hard_sharing_surgery/curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    trained = runs.restore(tmp_path / "hard_sharing_surgery")
    assert trained.predict(np.zeros((3, 44, 44), np.uint8)).shape == (3, 2, 10)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("multi_digit_multitask: both digits right: separate ")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--size", "30"), "--size must be at least 28 + --shift, got 30 and 4"),
        (("--coupling", "0"), "--coupling must be positive"),
    ],
)
def test_mistakes_are_one_sentence(argv, said, capsys):
    assert run(*argv) == 2
    assert said in capsys.readouterr().err
