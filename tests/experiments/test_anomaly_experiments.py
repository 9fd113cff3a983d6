"""Anomaly detection from the command line to its files, on few steps."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments import anomaly, ganomaly_score, mnist_autoencoder, mnist_ganomaly
from jaxdl.data import images
from jaxdl.ops.anomaly import auroc
from jaxdl.train import command
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.report import Report

TINY = ("--size", "16", "--features", "4", "--latent", "8", "--epochs", "2", "--resamples", "20")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    argv = (*TINY, "--anomalies", "7", "--workdir", str(folder))
    module = mnist_ganomaly
    assert command.run(module.main, module.Config, module.PRESETS, argv=argv) == 0
    return folder


def test_a_run_judges_every_score_and_leaves_its_pictures(finished):
    result = json.loads((finished / "anomaly-7" / "result.json").read_text())
    assert set(result["measures"]) == {
        *("ganomaly latent", "ganomaly reconstruction", "ganomaly feature"),
        *("autoencoder reconstruction", "pca"),
    }
    for row in result["measures"].values():
        assert 0 <= row["auroc"]["low"] <= row["auroc"]["value"] <= row["auroc"]["high"] <= 1
        assert row["f1 at maximum"]["threshold"] >= row["f1 at quantile 0.99"]["threshold"]
    whole = json.loads((finished / "result.json").read_text())
    assert whole["mean_auroc"] == {
        kind: row["auroc"]["value"] for kind, row in result["measures"].items()
    }
    assert (finished / "auroc.png").stat().st_size > 0
    table = (finished / "table.md").read_text()
    assert "| 7 | " in table
    assert "| mean | " in table
    for name in ("scores.png", "ganomaly/strangest.png", "autoencoder/strangest.png"):
        assert (finished / "anomaly-7" / name).read_bytes().startswith(b"\x89PNG")


def test_a_further_class_joins_the_table_and_what_was_trained_stays(finished, capsys):
    measured = finished / "anomaly-7" / "result.json"
    before = measured.read_bytes()
    measured.unlink()  # as if it had been killed before it was written
    module = mnist_ganomaly
    for digits in (("2",), ("2", "7")):
        argv = (*TINY, "--digits", *digits, "--workdir", str(finished))
        assert command.run(module.main, module.Config, module.PRESETS, argv=argv) == 0
    assert measured.read_bytes() == before
    assert "anomaly-2: measured before" in capsys.readouterr().out
    result = json.loads((finished / "result.json").read_text())
    assert list(result["auroc"]) == ["2", "7"]
    for kind, mean in result["mean_auroc"].items():
        values = [row[kind]["value"] for row in result["auroc"].values()]
        assert mean == pytest.approx(sum(values) / 2)


def test_sorted_and_shuffled_tests_give_one_auroc(finished):
    config = mnist_ganomaly.Config(**Report(finished).config())
    made = anomaly.detector("ganomaly", config)
    data = images.digits()["test"]
    shown = images.resize(data["image"], config.size)
    template = jax.eval_shape(
        made.method.init, jax.random.key(0), {"image": jnp.zeros((1, *shown.shape[1:]))}
    )
    with Checkpoints(finished / "anomaly-7" / "ganomaly" / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(template)
    by_label = np.argsort(data["label"], kind="stable")
    shuffled = np.random.default_rng(0).permutation(len(shown))
    aurocs = [
        {
            kind: auroc(scores, data["label"][order] == 7)
            for kind, scores in anomaly.scorer(made)(state, shown[order]).items()
        }
        for order in (by_label, shuffled)
    ]
    assert aurocs[0] == aurocs[1]


def test_scores_of_a_folder(finished, tmp_path, capsys):
    data = images.digits()["test"]
    for index in range(6):
        Image.fromarray(data["image"][index, ..., 0]).save(tmp_path / f"{index}.png")
    Image.fromarray(np.tile([[0, 255], [255, 0]], (8, 8)).astype(np.uint8)).save(tmp_path / "x.png")
    argv = ("--images", str(tmp_path), "--workdir", str(tmp_path / "out"))
    argv += ("--checkpoint", str(finished / "anomaly-7" / "ganomaly"))
    module = ganomaly_score
    assert command.run(module.main, module.Config, argv=argv) == 0
    rows = list(csv.DictReader((tmp_path / "out" / "scores.csv").read_text().splitlines()))
    assert len(rows) == 7
    values = [float(row["score"]) for row in rows]
    assert values == sorted(values, reverse=True)
    for row in rows:
        assert (float(row["scaled"]) >= 0.5) == (row["anomaly"] == "1")
    assert (tmp_path / "out" / "sheet.png").exists()
    assert len(list((tmp_path / "out" / "maps").glob("*.png"))) == 7
    assert "of 7 images are anomalies" in capsys.readouterr().out.splitlines()[-1]


def test_mistakes_are_one_sentence(finished, tmp_path, capsys):
    for module, argv, message in (
        (ganomaly_score, ("--images", str(tmp_path)), "--checkpoint is needed"),
        (
            ganomaly_score,
            ("--images", str(tmp_path), "--checkpoint", str(tmp_path)),
            "has no trained detector",
        ),
        (mnist_autoencoder, ("--digits", "12"), "class 12 is not one of several"),
        (mnist_autoencoder, ("--epochs", "0"), "--epochs must be positive"),
        (mnist_autoencoder, ("--latent", "9", "--workdir", str(finished)), "other options"),
    ):
        if module is mnist_autoencoder and "--workdir" not in argv:
            argv += ("--workdir", str(tmp_path / "new"))
        assert command.run(module.main, module.Config, argv=argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
