"""A teacher and its student, from options to files."""

import json

import numpy as np
import pytest
from scipy.special import softmax

from experiments import distillation, mnist_distill, mnist_distill_omitted_3
from jaxdl.train import command

SHORT = ("--teacher-epochs", "4", "--epochs", "3", "--teacher-hidden", "64")


def run(module, *argv):
    return command.run(module.main, module.Config, mnist_distill.PRESETS, argv=argv)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(mnist_distill_omitted_3, *SHORT, "--workdir", str(folder)) == 0
    return folder


def test_all_are_compared(finished):
    result = json.loads((finished / "result.json").read_text())
    networks = ("distilled", "distilled, biases raised", "student alone", "teacher")
    assert {name.split("/")[0] for name in result["metrics"]} == {*networks}
    assert result["protocol"]["classes that the student never saw"] == [3]
    recall = {name: result["metrics"][f"{name}/recall/3"]["mean"] for name in networks}
    # What was never seen is said less often than it should be, until its bias is raised.
    assert 0 < recall["distilled"] < recall["student alone"]
    assert recall["distilled, biases raised"] > recall["distilled"]
    for name in ("curves.png", "soft_targets.png", "confusion.png", "teacher/mistakes.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


def test_biases_are_raised_to_the_share_of_the_labels():
    rng = np.random.default_rng(0)
    log_probability = np.log(softmax(rng.normal(size=(200, 4)) - [0, 0, 5, 4], -1))
    parts = {"train": (None, np.repeat([0, 1, 2, 3], [10, 20, 30, 40]))}
    raised = distillation._raised(log_probability, parts, (2, 3))
    assert (raised[:2] == 0).all()
    shares = softmax(log_probability + raised, -1).mean(0)
    np.testing.assert_allclose(shares[2:], [0.3, 0.4], atol=1e-3)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--omit", "12"), "--omit names classes that are not there: [12]"),
        (("--temperature", "0"), "temperature"),
        (("--epochs", "0"), "--epochs must be positive"),
    ],
)
def test_mistakes_are_one_sentence(argv, message, tmp_path, capsys):
    argv += ("--teacher-epochs", "1", "--teacher-hidden", "4", "--workdir", str(tmp_path))
    assert run(mnist_distill, *argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
