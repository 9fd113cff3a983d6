"""Classifiers, the race of optimizers, k folds and the diagnosis, from options to files."""

import json
import shutil

import jax
import numpy as np
import pytest

from experiments import (
    cluttered_mnist_stn,
    diagnose,
    fashion_cnn,
    fashion_mlp,
    kfold_digits,
    mnist_cnn,
    mnist_mlp,
    optimizer_race,
)
from jaxdl.data import images
from jaxdl.train import command
from jaxdl.train import run as runs
from jaxdl.train.report import Report
from jaxdl.train.trained import load_exported

SHORT = ("--epochs", "6", "--learning-rate", "0.05", "--hidden", "64", "--size", "8")


def run(module, *argv):
    return command.run(module.main, module.Config, getattr(module, "PRESETS", None), argv=argv)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert run(mnist_mlp, *SHORT, "--workdir", str(folder)) == 0
    return folder


def test_a_run_says_how_good_it_is_and_shows_its_mistakes(finished):
    result = json.loads((finished / "result.json").read_text())
    metrics = result["metrics"]
    accuracy = metrics["accuracy"]
    assert accuracy["count"] == 360
    assert accuracy["mean"] == pytest.approx(1 - accuracy["mistakes"] / 360)
    assert accuracy["mean"] > 0.8
    assert accuracy["mean"] <= metrics["top 3 accuracy"]["mean"] <= 1
    of_class = [metrics[f"f1/{i}"]["mean"] for i in range(10)]
    assert metrics["f1"]["mean"] == pytest.approx(np.mean(of_class))
    assert result["protocol"]["selection"] == "last step"
    for name in ("curves.png", "confusion.png", "mistakes.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")
    config = json.loads((finished / "config.json").read_text())
    assert config["optimizer"] == "momentum"
    assert config["momentum"] == 0.5


def test_two_runs_are_the_same(finished, tmp_path):
    assert run(mnist_mlp, *SHORT, "--workdir", str(tmp_path)) == 0
    digests = [
        json.loads((folder / "result.json").read_text())["params_sha256"]
        for folder in (finished, tmp_path)
    ]
    assert digests[0] == digests[1]


def test_a_finished_run_predicts(finished):
    trained = runs.restore(finished)
    test = images.digits()["test"]
    probability = trained.predict(test["image"])
    assert probability.shape == (360, 10)
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-5)
    accuracy = (probability.argmax(-1) == test["label"]).mean()
    metrics = json.loads((finished / "result.json").read_text())["metrics"]
    assert accuracy == pytest.approx(metrics["accuracy"]["mean"])
    # As numbers from 0 to 1, without an axis of channels, and only a few.
    few = trained.predict(test["image"][:3, ..., 0] / 255.0)
    np.testing.assert_allclose(few, probability[:3], rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"expected images \[n, 8, 8, 1\]"):
        trained.predict(np.zeros((1, 8, 8, 3), np.uint8))


def test_an_exported_prediction_takes_any_number(finished, tmp_path):
    trained = runs.restore(finished)
    shown = np.random.default_rng(0).random((70, 8, 8, 1), np.float32)
    trained.export(tmp_path / "file", {"image": shown})
    exported = jax.export.deserialize(bytearray((tmp_path / "file").read_bytes()))
    assert not isinstance(exported.in_avals[0].shape[0], int)
    again = load_exported(tmp_path / "file")
    for count in (1, 70):
        expected = trained.apply({"image": shown[:count]})
        for name, values in again({"image": shown[:count]}).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("experiment", "part", "config", "facts", "protocol", "batch")),
        *(("facts", 5), ("facts", {}), ("config", [1]), ("config", {"hidden": "abc"})),
        *(("config", {"no such": 1}), ("batch", 5), ("batch", {"image": "nope[3]"})),
        *(("batch", {"image": "float32[a]"}), ("batch", {}), ("experiment", ["os"])),
    ],
)
def test_a_damaged_model_is_one_sentence(name, value, finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "run")
    model = json.loads((folder / "model.json").read_text())
    if value is None:
        del model[name]
    else:
        model[name] = value
    (folder / "model.json").write_text(json.dumps(model))
    with pytest.raises(ValueError, match=r"run|unknown|int"):
        runs.restore(folder)


def test_early_stopping(tmp_path):
    argv = ("--epochs", "50", "--learning-rate", "0.5", "--patience", "2", "--size", "8")
    assert run(fashion_mlp, *argv, "--workdir", str(tmp_path)) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    valid = [row["loss"] for row in Report(tmp_path).rows() if row["split"] == "valid"]
    assert result["steps"] < 50 * 20
    assert len(valid) * 20 == result["steps"]
    assert min(valid[-2:]) >= min(valid[:-2])
    assert result["protocol"]["selection"].startswith("early stopping")


@pytest.mark.parametrize(
    ("module", "more"),
    [
        (mnist_cnn, ("--preset", "notes", "--size", "8", "--mixup", "0.2", "--microbatch", "8")),
        pytest.param(fashion_cnn, ("--size", "8", "--flip"), marks=pytest.mark.slow),
        pytest.param(cluttered_mnist_stn, ("--size", "16"), marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_network_learns_a_little(module, more, tmp_path, capsys):
    argv = ("--epochs", "1", "--optimizer", "adam", *more, "--workdir", str(tmp_path))
    assert run(module, *argv) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(module.__name__.split(".")[-1])
    assert "of 360 test images right" in last
    if module is cluttered_mnist_stn:
        assert (tmp_path / "looked_at.png").exists()


def test_k_folds_choose_and_refit(tmp_path, capsys):
    argv = ("--hidden", "2", "24", "--folds", "2", "--epochs", "8", "--workdir", str(tmp_path))
    assert run(kfold_digits, *argv) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    metrics = result["metrics"]
    assert metrics["chosen"]["mean"] == 24
    assert metrics["error/24"]["mean"] < metrics["error/2"]["mean"]
    folds = [metrics[f"error/24/{fold}"]["mean"] for fold in range(2)]
    assert metrics["error/24"]["mean"] == pytest.approx(np.mean(folds))
    assert metrics["error/24"]["deviation"] == pytest.approx(np.std(folds, ddof=1))
    assert (tmp_path / "errors.png").exists()
    assert "24 units have the lowest error" in capsys.readouterr().out.splitlines()[-1]


def test_a_race_has_a_table_and_a_plot(tmp_path):
    argv = ("--optimizers", "sgd", "swats", "--steps", "30", "--seeds", "2", "--hidden", "8")
    argv += ("--rosenbrock-steps", "100", "--workdir", str(tmp_path))
    assert run(optimizer_race, *argv) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    metrics = {name: value["mean"] for name, value in result["metrics"].items()}
    assert {name.split("/")[0] for name in metrics} == {"sgd", "swats"}
    for name in ("sgd", "swats"):
        assert metrics[f"{name}/rate"] in optimizer_race.RATES
        assert metrics[f"{name}/valley distance"] < np.hypot(2.5, 1)
    assert result["metrics"]["sgd/test accuracy"]["count"] == 2
    assert (tmp_path / "table.md").read_text().count("\n| s") == 2
    assert (tmp_path / "race.png").exists()


def test_a_diagnosis_of_a_run(finished, capsys):
    assert run(diagnose, str(finished)) == 0
    assert "diagnose: learning (confidence " in capsys.readouterr().out.splitlines()[-1]
    assert (finished / "diagnosis.png").exists()


@pytest.mark.parametrize(
    ("module", "argv", "message"),
    [
        (mnist_mlp, ("--epochs", "0"), "--epochs must be positive"),
        (mnist_mlp, ("--holdout", "1"), "must leave some"),
        (mnist_mlp, ("--warmup", "1"), "warmup must be"),
        (mnist_mlp, ("--patience", "0"), "--patience must be positive"),
        (mnist_mlp, ("--mixup", "-1"), "mixup must not be negative"),
        (diagnose, (), "name the folder of a run"),
        (diagnose, ("nowhere",), "has no train and no valid losses"),
        (kfold_digits, ("--folds", "1"), "folds must be 2 to"),
    ],
)
def test_mistakes_are_one_sentence(module, argv, message, tmp_path, capsys):
    if module is not diagnose:
        argv += ("--workdir", str(tmp_path))
    assert run(module, *argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
