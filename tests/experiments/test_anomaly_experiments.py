"""Anomaly detection from the command line to its files, on few steps."""

import csv

import numpy as np
import pytest
from PIL import Image

from experiments import ganomaly_score, mnist_autoencoder, mnist_ganomaly
from jaxdl.data import images
from jaxdl.ops.anomaly import auroc
from jaxdl.train import command, result, run

TINY = ("--size", "16", "--features", "4", "--latent", "8", "--epochs", "2", "--resamples", "20")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    argv = (*TINY, "--anomalies", "7", "--workdir", str(folder))
    module = mnist_ganomaly
    assert command.run(module.main, module.Config, module.PRESETS, argv=argv) == 0
    return folder


KINDS = {
    *("ganomaly latent", "ganomaly reconstruction", "ganomaly feature"),
    *("autoencoder reconstruction", "pca"),
}


def test_a_run_judges_every_score_and_leaves_its_pictures(finished):
    found = result.read(finished / "anomaly-7" / "result.json")
    metrics = found["metrics"]
    assert {name.partition("/")[0] for name in metrics} == KINDS
    for kind in KINDS:
        measured = metrics[f"{kind}/auroc"]
        assert 0 <= measured["low"] <= measured["mean"] <= measured["high"] <= 1
        thresholds = [
            metrics[f"{kind}/f1 at {name}"]["threshold"] for name in ("maximum", "quantile 0.99")
        ]
        assert thresholds[0] >= thresholds[1]
    assert found["protocol"]["anomaly"] == 7
    assert 0 < found["protocol"]["share of anomalies"] < 1
    whole = result.read(finished / "result.json")["metrics"]
    for kind in KINDS:
        assert whole[f"{kind}/auroc"]["mean"] == metrics[f"{kind}/auroc"]["mean"]
        assert whole[f"{kind}/auroc/7"] == metrics[f"{kind}/auroc"]
    assert (finished / "auroc.png").stat().st_size > 0
    table = (finished / "table.md").read_text()
    assert "| 7 | " in table
    assert "| mean | " in table
    for name in ("scores.png", "ganomaly/strangest.png", "autoencoder/strangest.png"):
        assert (finished / "anomaly-7" / name).read_bytes().startswith(b"\x89PNG")


def test_a_further_class_joins_the_table_and_what_was_trained_stays(finished, capsys):
    measured = finished / "anomaly-7" / "result.json"
    before = result.read(measured)
    measured.unlink()  # as if it had been killed before it was written
    module = mnist_ganomaly
    for digits in (("2",), ("2", "7")):
        argv = (*TINY, "--digits", *digits, "--workdir", str(finished))
        assert command.run(module.main, module.Config, module.PRESETS, argv=argv) == 0
    assert result.read(measured)["metrics"] == before["metrics"]
    assert "anomaly-2: measured before" in capsys.readouterr().out
    metrics = result.read(finished / "result.json")["metrics"]
    for kind in KINDS:
        mean = metrics[f"{kind}/auroc"]
        values = [metrics[f"{kind}/auroc/{digit}"]["mean"] for digit in (2, 7)]
        assert mean["count"] == 2
        assert mean["mean"] == pytest.approx(sum(values) / 2)


def test_sorted_and_shuffled_tests_give_one_auroc(finished):
    detector = run.restore(finished / "anomaly-7" / "ganomaly")
    data = images.digits()["test"]
    shown = images.resize(data["image"], 16)
    by_label = np.argsort(data["label"], kind="stable")
    shuffled = np.random.default_rng(0).permutation(len(shown))
    aurocs = [
        {
            kind: auroc(scores, data["label"][order] == 7)
            for kind, scores in detector.scores(shown[order]).items()
        }
        for order in (by_label, shuffled)
    ]
    assert aurocs[0] == aurocs[1]


@pytest.mark.parametrize("part", ["ganomaly", "autoencoder"])
def test_a_part_opens_with_and_without_model_json(finished, part):
    """Without, as a run of before there was one: then from the folders above."""
    folder = finished / "anomaly-7" / part
    model = folder / "model.json"
    kept = model.read_text()
    shown = images.resize(images.digits()["test"]["image"][:3], 16)
    new = run.restore(folder)
    model.unlink()
    try:
        old = run.restore(folder)
    finally:
        model.write_text(kept)
    assert old.calibration == new.calibration
    assert old.calibration["score"] == ("latent" if part == "ganomaly" else "reconstruction")
    assert old.facts == new.facts == {"size": 16, "channels": 1}
    for kind, scores in new.scores(shown).items():
        np.testing.assert_array_equal(old.scores(shown)[kind], scores)
    assert new.reconstruct(shown).shape == shown.shape


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
