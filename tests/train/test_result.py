import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.ops.metrics import Moments
from jaxdl.train import result
from jaxdl.train.report import Report

OPTIONS = {"seed": 0, "hidden": [64, 32], "dataset": "digits"}


def write(folder, **changes):
    report = Report(folder)
    row = {"step": 10, "split": "train", "seconds": 5.0}
    report.write_text("metrics.jsonl", json.dumps(row) + "\n")
    fields = {
        "experiment": "mnist_mlp",
        "dataset": "digits",
        "protocol": {"selection": "last step"},
        "metrics": {"accuracy": result.metric(0.5, 0.1, 90, mistakes=45)},
        "seed": 3,
        "steps": 10,
        "params_sha256": "ab",
        "config": OPTIONS,
    }
    return result.write(report, **(fields | changes))


def moments(*values):
    return Moments.of(jnp.array(values), jnp.ones(len(values)))


def test_what_is_written_is_read(tmp_path):
    metrics = {
        "accuracy": moments(0.5, 1.0),
        "teacher": {"accuracy": result.metric(np.float32(0.5)), "recall/3": moments(1.0)},
    }
    written = write(tmp_path, name="result-glyphs.json", metrics=metrics, config={"hidden": (8,)})
    assert written == result.read(tmp_path / "result-glyphs.json")
    assert written["metrics"]["accuracy"]["mean"] == 0.75
    assert written["metrics"]["accuracy"]["ci95"] == pytest.approx(1.96 * 0.125**0.5 / 2**0.5)
    assert written["metrics"]["accuracy"]["count"] == 2
    assert written["metrics"]["teacher/accuracy"] == {"mean": 0.5, "ci95": None, "count": None}
    assert written["metrics"]["teacher/recall/3"]["mean"] == 1
    assert written["config"] == {"hidden": [8]}
    assert (written["seed"], written["steps"], written["seconds"]) == (3, 10, 5.0)
    assert written["device"] == jax.devices()[0].device_kind
    packages = {"python", "jax", "jaxlib", "flax", "optax", "numpy", "jaxdl"}
    assert written["versions"].keys() == packages


def test_the_command(monkeypatch, tmp_path):
    argv = ["/usr/bin/python3.11", "-m", "experiments.mnist_mlp", "--workdir", "a folder"]
    monkeypatch.setattr(sys, "orig_argv", argv)
    monkeypatch.setattr(sys, "argv", ["experiments/mnist_mlp.py", *argv[3:]])
    assert write(tmp_path)["command"] == "python -m experiments.mnist_mlp --workdir 'a folder'"
    monkeypatch.setattr(sys, "argv", [""])
    assert write(tmp_path)["command"] is None


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_commit(monkeypatch, tmp_path):
    def git(*arguments):
        name = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *name, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    code = tmp_path / "result.py"
    code.write_text("a = 1\n")
    monkeypatch.setattr(result, "__file__", str(code))
    assert write(tmp_path / "run")["commit"] is None
    git("init", "-q")
    assert write(tmp_path / "run")["commit"] is None  # of somebody else's repository
    git("add", "result.py")
    git("commit", "-q", "-m", "one")
    assert write(tmp_path / "run")["commit"] == git("rev-parse", "HEAD")
    code.write_text("a = 2\n")
    assert write(tmp_path / "run")["commit"] == git("rev-parse", "HEAD") + "+"
    monkeypatch.setenv("PATH", "")
    assert write(tmp_path / "run")["commit"] is None


@pytest.mark.parametrize("value", [float("nan"), jnp.inf, "1", None, True, [1.0], np.ones(2)])
def test_a_metric_is_one_finite_number(value):
    with pytest.raises(ValueError, match="mean must be one finite number"):
        result.metric(value)
    with pytest.raises(ValueError, match="low must be one finite number"):
        result.metric(1, low=value)


def test_moments_of_several_means_are_refused(tmp_path):
    with pytest.raises(ValueError, match="mean must be one finite number"):
        write(tmp_path, metrics={"accuracy": moments([0.5, 0.25], [1.0, 0.75])})
    assert not (tmp_path / "result.json").exists()


def test_percent():
    assert result.percent(result.metric(0.98236, 0.00176)) == "98.24 ± 0.18"
    assert result.percent(result.metric(0.5), 0) == "50"


def older(folder, found, config=None):
    if config:
        (folder / "config.json").write_text(json.dumps(config))
    path = Path(folder / "result.json")
    path.write_text(json.dumps(found))
    read = result.read(path)
    result.check(read)
    return read, read["metrics"]


def test_older_results_of_episodes(tmp_path):
    accuracy = {"mean": 0.1 + 0.2, "ci95": 0.1, "episodes": 7}
    fields = {"experiment": "omniglot_maml", "dataset": "glyphs", "protocol": {"way": 5}}
    fields |= {"seed": 1, "steps": 9, "seconds": 2.5, "params_sha256": "", "versions": {}}
    read, metrics = older(tmp_path, fields | {"metrics": {"accuracy/x": accuracy}}, OPTIONS)
    assert metrics == {"accuracy/x": {"mean": 0.1 + 0.2, "ci95": 0.1, "count": 7}}
    assert read["config"] == OPTIONS
    assert [read[name] for name in ("params_sha256", "device", "command", "commit")] == [None] * 4


def test_older_results_of_classifiers(tmp_path):
    accuracy = {"value": 0.5, "ci95": 0.1, "images": 4, "mistakes": 2}
    of_teacher = {"accuracy": accuracy, "by class": {"recall": [1.0, 0.0]}}
    found = {"experiment": "mnist_distill", "protocol": "last step"}
    found["metrics"] = {"teacher": of_teacher, "parameters": 7, "agreement": {"value": 0.25}}
    read, metrics = older(tmp_path, found)
    assert metrics["teacher/accuracy"] == {"mean": 0.5, "ci95": 0.1, "count": 4, "mistakes": 2}
    assert [metrics[f"teacher/recall/{i}"]["mean"] for i in range(2)] == [1, 0]
    assert metrics["parameters"] == {"mean": 7, "ci95": None, "count": None}
    assert metrics["agreement"]["mean"] == 0.25
    assert read["protocol"] == {"test": "last step"}
    assert (read["dataset"], read["seed"], read["config"]) == (None, None, {})


def test_older_results_of_anomalies(tmp_path):
    area = {"value": 0.5, "low": 0.25, "high": 0.75}
    fields = {"experiment": "mnist_ganomaly", "dataset": "digits", "seed": 0}
    means = {"mean_auroc": {"pca": 0.5}, "auroc": {"0": {"pca": area}, "3": {"pca": area}}}
    _, metrics = older(tmp_path, fields | means)
    assert metrics["pca/auroc"] == {"mean": 0.5, "ci95": None, "count": 2}
    one = {"mean": 0.5, "ci95": None, "count": None, "low": 0.25, "high": 0.75}
    assert metrics["pca/auroc/3"] == one
    measures = {"auroc": area, "f1 at maximum": {"value": 0.5, "threshold": 2.0}}
    found = {"experiment": "mnist_ganomaly", "anomaly": 3, "images": {"test": 9}}
    found |= {"config": OPTIONS, "measures": {"pca": measures}}
    read, metrics = older(tmp_path, found)
    assert metrics["pca/auroc"] == one
    assert metrics["pca/f1 at maximum"]["threshold"] == 2
    assert read["protocol"] == {"anomaly": 3, "images": {"test": 9}}
    assert (read["dataset"], read["config"]) == ("digits", OPTIONS)


def test_older_results_of_folds_and_of_optimizers(tmp_path):
    found = {"experiment": "kfold_digits", "errors": {"16": [0.25, 0.75]}}
    _, metrics = older(tmp_path, found | {"chosen": 16, "test error": 0.125})
    assert metrics["error/16"]["mean"] == 0.5
    assert metrics["error/16"]["deviation"] == pytest.approx(0.125**0.5)
    assert [metrics[f"error/16/{i}"]["mean"] for i in range(2)] == [0.25, 0.75]
    assert (metrics["chosen"]["mean"], metrics["test error"]["mean"]) == (16, 0.125)
    row = {"rate": 0.1, "test accuracy": 0.5, "deviation": 0.25}
    found = {"experiment": "optimizer_race", "optimizers": {"adam": row}, "config": {"seeds": 3}}
    _, metrics = older(tmp_path, found)
    accuracy = {"mean": 0.5, "ci95": None, "count": 3, "deviation": 0.25}
    assert metrics == {
        "adam/rate": {"mean": 0.1, "ci95": None, "count": None},
        "adam/test accuracy": accuracy,
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"experiment": "a"}',
        '{"experiment": 1, "metrics": {}}',
        '{"experiment": "a", "metrics": {"accuracy": {"value": "high"}}}',
        '{"experiment": "a", "metrics": {"accuracy": {"value": NaN}}}',
        '{"experiment": "a", "metrics": 3}',
    ],
)
def test_what_is_no_result(tmp_path, text):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"result.json is no result of an experiment"):
        result.read(path)
    with pytest.raises(FileNotFoundError):
        result.read(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": "0"}, "seed cannot be '0'"),
        ({"steps": True}, "steps cannot be True"),
        ({"metrics": {"a": {"mean": 1}}}, "a needs mean, ci95 and count"),
        ({"metrics": {"a": {"mean": 1, "ci95": None, "count": 1.5}}}, "no whole number: 1.5"),
        ({"more": 1}, "expected the fields experiment, dataset"),
    ],
)
def test_what_is_not_of_the_schema(tmp_path, changes, said):
    with pytest.raises(ValueError, match=said):
        result.check(write(tmp_path) | changes)
