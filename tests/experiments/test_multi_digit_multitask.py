import json

import pytest

from experiments import multi_digit_multitask as module
from jaxdl.train import command


def run(*argv):
    return command.run(module.main, module.Config, module.PRESETS, argv=argv)


@pytest.mark.slow
def test_five_ways_to_share(tmp_path, capsys):
    assert run("--epochs", "20", "--channels", "8", "16", "--workdir", str(tmp_path)) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    assert len(metrics) == 5
    for row in metrics.values():
        one, two, both = (row[name]["value"] for name in (*module.TASKS, "both"))
        assert one + two - 1 <= both <= min(one, two)
        assert min(one, two) > 0.5
    sizes = {name: row["parameters"] for name, row in metrics.items()}
    assert sizes["separate"] == sizes["soft sharing"] > sizes["hard sharing"]
    for name in ("by_task.png", "disputed.png", "hard_sharing_surgery/curves.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
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
