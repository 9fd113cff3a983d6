"""A teacher and its student, from options to files."""

import json

import pytest

from experiments import mnist_distill, mnist_distill_omitted_3
from jaxdl.data import images
from jaxdl.train import command, result
from jaxdl.train import run as runs

SHORT = ("--teacher-epochs", "4", "--epochs", "3", "--teacher-hidden", "64")


def run(module, *argv):
    return command.run(module.main, module.Config, module.PRESETS, argv=argv)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(mnist_distill_omitted_3, *SHORT, "--workdir", str(folder)) == 0
    return folder


def test_all_are_compared(finished):
    found = result.read(finished / "result.json")
    networks = ("distilled", "distilled, biases raised", "student alone", "teacher")
    assert {name.split("/")[0] for name in found["metrics"]} == {*networks}
    assert found["protocol"]["classes that the student never saw"] == [3]
    recall = {name: found["metrics"][f"{name}/recall/3"]["mean"] for name in networks}
    # What was never seen is said less often than it should be, until its bias is raised.
    assert 0 < recall["distilled"] < recall["student alone"]
    assert recall["distilled, biases raised"] > recall["distilled"]
    for name in ("curves.png", "soft_targets.png", "confusion.png", "teacher/mistakes.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")


def test_a_student_and_its_teacher_are_opened_again(finished):
    metrics = result.read(finished / "result.json")["metrics"]
    test = images.digits()["test"]
    for folder, name in (("", "distilled"), ("teacher", "teacher"), ("alone", "student alone")):
        found = runs.restore(finished / folder).predict(test["image"]).argmax(-1)
        right = (found == test["label"]).mean()
        assert right == pytest.approx(metrics[f"{name}/accuracy"]["mean"]), name


def test_features_are_learned_within_the_step(tmp_path):
    argv = ("--teacher-epochs", "1", "--epochs", "2", "--teacher-hidden", "16")
    argv += ("--feature-loss", "hint", "--feature-weight", "0.5", "--workdir", str(tmp_path))
    assert run(mnist_distill, *argv) == 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = [row["feature_loss"] for row in rows if row["split"] == "train"]
    assert losses[-1] < losses[0]
    assert not (tmp_path / "teacher_logits").exists()
    trained = runs.restore(tmp_path)
    assert "regressor" in trained.state.params
    assert trained.predict(images.digits()["test"]["image"][:3]).shape == (3, 10)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--omit", "12"), "--omit names classes that are not there: [12]"),
        (("--temperature", "0"), "temperature"),
        (("--feature-loss", "attention"), "attention is compared of maps"),
        (("--epochs", "0"), "--epochs must be positive"),
    ],
)
def test_mistakes_are_one_sentence(argv, message, tmp_path, capsys):
    argv += ("--teacher-epochs", "1", "--teacher-hidden", "4", "--workdir", str(tmp_path))
    assert run(mnist_distill, *argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
