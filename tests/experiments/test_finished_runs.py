"""What a finished run is good for: Lake's trials, and a folder of one's own images."""

import json
import re
import shutil
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments import (
    few_shot_folder,
    omniglot_lake,
    omniglot_maml,
    omniglot_protonet,
)
from jaxdl.data import characters, glyphs, lake
from jaxdl.problems import episodes
from jaxdl.train import command, run
from jaxdl.train.trained import load_exported

RUNS, WAY = 2, 4


@pytest.fixture(scope="module")
def made():
    return glyphs.load(classes=120)


@pytest.fixture(scope="module")
def finished(made, tmp_path_factory):
    """A ProtoNet and a MAML that have hardly been trained."""
    folder = tmp_path_factory.mktemp("runs")
    tiny = ("--steps", "2", "--eval-every", "2", "--log-every", "2", "--meta-batch", "2")
    tiny += ("--episodes", "2", "--eval-episodes", "2", "--eval-queries", "2", "--queries", "2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))
        for module, options in (
            (omniglot_protonet, ("--train-way", "8")),
            (omniglot_maml, ("--network", "mlp", "--eval-inner-steps", "1")),
        ):
            name = module.__name__.split(".")[-1]
            argv = ("--workdir", str(folder / name), *tiny, *options)
            assert command.run(module.main, module.Config, argv=argv) == 0
    return folder


def shown(made, classes=5, examples=2, queries=6):
    images = made["train"]["image"][:classes]
    label = np.repeat(np.arange(classes), examples)
    known = images[:, :examples].reshape(-1, 28, 28)
    return (known, label), images[:, examples : examples + queries].reshape(-1, 28, 28)


def test_a_run_opens_and_tells_classes_apart(made, finished):
    trained = run.restore(finished / "omniglot_protonet")
    assert (trained.protocol["way"], trained.protocol["train_way"]) == (5, 8)
    assert trained.config.problem.train_way == 8
    support, images = shown(made)
    probability = trained.predict(support, images)
    assert probability.shape == (30, 5)
    np.testing.assert_allclose(probability.sum(-1), 1, rtol=1e-5)
    # As the method itself says, without padding and in one batch.
    task = {
        "support": {"image": support[0][..., None] / np.float32(255), "label": support[1]},
        "query": {"image": images[..., None] / np.float32(255)},
    }
    logits = trained.method.predict(trained.state, jax.tree.map(lambda leaf: leaf[None], task))
    expected = jax.nn.softmax(logits["inductive"][0])
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    # Bytes and numbers, one image and many, with the last axis and without.
    as_numbers = (support[0][..., None] / np.float32(255), support[1])
    np.testing.assert_allclose(
        trained.predict(as_numbers, images[:1] / np.float32(255)), probability[:1], atol=1e-6
    )
    many = np.tile(images, (3, 1, 1))
    np.testing.assert_allclose(trained.predict(support, many)[60:], probability, atol=1e-6)
    assert trained.predict(shown(made, classes=7)[0], images).shape == (30, 7)
    known, label = support
    for wrong, said in (
        (((known, label + 1), images), "expected a label from 0 to N - 1"),
        (((known, label[:-1]), images), "expected a label from 0 to N - 1"),
        ((support, images[:, :-1]), "expected images"),
        ((support, images[:0]), "expected images"),
    ):
        with pytest.raises(ValueError, match=said):
            trained.predict(*wrong)
    with pytest.raises(ValueError, match="tells 5 classes apart, not 7"):
        run.restore(finished / "omniglot_maml").predict(shown(made, classes=7)[0], images)


def test_a_run_opens_without_what_later_versions_write(made, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))
    folder = shutil.copytree(finished / "omniglot_protonet", tmp_path / "run")
    (folder / "model.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    for name in ("comparisons", "views", "tasks_at_once"):
        del config[name]
    (folder / "config.json").write_text(json.dumps(config))
    support, images = shown(made)
    np.testing.assert_array_equal(
        run.restore(folder).predict(support, images),
        run.restore(finished / "omniglot_protonet").predict(support, images),
    )


def test_the_readme_opens_a_run(made, finished, tmp_path, monkeypatch):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    _, example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    folder = re.search(r'restore\("(.*?)"', example)[1]
    monkeypatch.chdir(tmp_path)
    (examples, labels), images = shown(made)
    task = {"support": {"image": examples, "label": labels}, "query": {"image": images}}
    batch = jax.tree.map(lambda leaf: leaf[None], task)
    for part in ("support", "query"):
        batch[part]["image"] = batch[part]["image"][..., None] / np.float32(255)
    names = {"examples": examples, "labels": labels, "images": images, "batch": batch}
    code = example.replace(folder, str(finished / "omniglot_protonet"))
    exec(compile(code, "README.md", "exec"), names)
    assert names["probability"].shape == (30, 5)
    assert (tmp_path / "predict.jaxexport").stat().st_size > 10_000


def test_options_that_a_test_may_change(finished):
    assert run.restore(finished / "omniglot_protonet", views=2).config.method.views == 2
    with pytest.raises(ValueError, match="omniglot_maml has no --views"):
        run.restore(finished / "omniglot_maml", views=2)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "has no finished run"),
        ("../../etc", "is not beside jaxdl"),
        ("os", "is not beside jaxdl"),
        ("tables", "makes nothing to open"),
    ],
)
def test_a_strangers_folder_imports_nothing_else(tmp_path, name, said):
    if name:
        rest = {key: {} for key in ("config", "facts", "protocol", "batch")}
        model = {"experiment": name, "part": "", **rest}
        (tmp_path / "model.json").write_text(json.dumps(model))
    with pytest.raises(ValueError, match=said):
        run.restore(tmp_path)


def test_an_exported_prediction_needs_no_code(made, finished, tmp_path):
    trained = run.restore(finished / "omniglot_protonet")
    support, images = shown(made)
    task = {
        "support": {
            "image": support[0][None, ..., None] / np.float32(255),
            "label": support[1][None],
        },
        "query": {"image": images[None, ..., None] / np.float32(255)},
    }
    trained.export(tmp_path / "prediction", task)
    again = load_exported(tmp_path / "prediction")
    two = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), task)
    for inputs in (task, two):
        expected = trained.method.predict(trained.state, inputs)
        for name, values in again(inputs).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-4)
    (tmp_path / "prediction").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as an exported prediction"):
        load_exported(tmp_path / "prediction")


def drawing(made, character, drawer):
    """A drawing of a glyph as Omniglot's files hold it: 105 x 105, one bit, ink 0."""
    small = made["train"]["image"][character, drawer]
    return (
        Image.fromarray(255 - small)
        .resize((105, 105))
        .point(lambda p: 255 * (p > 128))
        .convert("1")
    )


@pytest.fixture(scope="module")
def archive(made, tmp_path_factory):
    """Trials of the official layout; an item is the very drawing of its class, moved."""
    path = tmp_path_factory.mktemp("lake") / "all_runs.zip"
    with zipfile.ZipFile(path, "w") as opened:
        for run in range(1, RUNS + 1):
            order = np.random.default_rng(run).permutation(WAY)
            lines = []
            for item, label in enumerate(order):
                image = drawing(made, 5 * run + label, 0)
                for name, picture in (
                    (f"training/class{label + 1:02}.png", image),
                    (
                        f"test/item{item + 1:02}.png",
                        image.rotate(0, translate=(3, -2), fillcolor=1),
                    ),
                ):
                    with opened.open(f"all_runs/run{run:02}/{name}", "w") as file:
                        picture.save(file, format="png")
                lines.append(
                    f"run{run:02}/test/item{item + 1:02}.png "
                    f"run{run:02}/training/class{label + 1:02}.png\n"
                )
            opened.writestr(f"all_runs/run{run:02}/class_labels.txt", "".join(lines))
    return path


def test_the_trials_as_arrays(archive):
    trials = lake.load(archive)
    assert trials["support"].shape == trials["query"].shape == (RUNS, WAY, 105, 105)
    for number in range(RUNS):
        assert sorted(trials["label"][number]) == list(range(WAY))
        order = np.random.default_rng(number + 1).permutation(WAY)
        np.testing.assert_array_equal(trials["label"][number], order)
    assert set(np.unique(trials["support"])) == {0, 255}
    assert (trials["support"] == 255).mean() < 0.3  # ink
    assert lake.shrink(trials["query"], "lanczos_grey").shape == (RUNS, WAY, 28, 28)


def test_hausdorff_finds_what_was_only_moved(archive, tmp_path, capsys):
    argv = ("--archive", str(archive), "--workdir", str(tmp_path))
    assert command.run(omniglot_lake.main, omniglot_lake.Config, argv=argv) == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["metrics"]["error/inductive"]["mean"] == 0
    assert (tmp_path / "first_run.png").exists()
    assert "0.00 ± 0.00 % inductive" in capsys.readouterr().out.splitlines()[-1]


def test_a_finished_run_on_the_trials(archive, finished, tmp_path, capsys):
    def test(name, *argv):
        argv = ("--archive", str(archive), "--workdir", str(tmp_path / "out"), *argv)
        argv += ("--checkpoint", str(finished / name)) if name else ()
        code = command.run(omniglot_lake.main, omniglot_lake.Config, argv=argv)
        return code, capsys.readouterr().err

    assert test("omniglot_protonet", "--views", "2") == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert set(result["metrics"]) == {"error/inductive", "error/transductive"}
    assert result["protocol"]["trained"]["views"] == 2
    for name, argv, message in (
        ("omniglot_maml", (), "tells 5 classes apart, not 4"),
        ("omniglot_maml", ("--views", "2"), "omniglot_maml has no --views"),
        ("nothing", (), "has no finished run"),
        (None, ("--views", "2"), "--views needs a --checkpoint"),
    ):
        code, error = test(name, *argv)
        assert code == 2
        assert message in error


def test_each_kind_of_later_test_has_its_own_file():
    trained = {"dataset": "omniglot", "way": 5, "shot": 1, "episodes": 1000, "views": 0}
    for changed, name in (
        ({}, "-omniglot"),
        ({"shot": 5}, "-omniglot-5w5s"),
        ({"views": 8}, "-omniglot-8views"),
        ({"way": 20, "views": 8}, "-omniglot-20w1s-8views"),
        ({"dataset": "glyphs"}, "-glyphs"),
    ):
        assert episodes.suffix(trained, trained | changed) == name
    without = {name: value for name, value in trained.items() if name != "views"}
    assert episodes.suffix(without, without) == "-omniglot"
    assert episodes.suffix(without, trained) == "-omniglot"  # made before there were views


def test_a_damaged_archive_is_one_sentence(archive, tmp_path, capsys):
    cut = tmp_path / "cut.zip"
    cut.write_bytes(archive.read_bytes()[:-200])
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as target:
        for member in source.infolist():
            if not member.filename.endswith("run02/test/item03.png"):
                target.writestr(member, source.read(member))
    for path, message in (
        (tmp_path / "none.zip", "there is no"),
        (cut, "is damaged"),
        (other, "run02 does not have a class"),
    ):
        argv = ("--archive", str(path), "--workdir", str(tmp_path / "out"))
        assert command.run(omniglot_lake.main, omniglot_lake.Config, argv=argv) == 2
        assert message in capsys.readouterr().err


@pytest.fixture
def images(made, tmp_path):
    """Three classes of two examples each, and three images: one in colour, on transparent paper."""
    for part, drawers in (("support", (0, 1)), ("query", (2,))):
        for name, character in (("a", 3), ("b", 7), ("c", 11)):
            (tmp_path / part / name).mkdir(parents=True)
            for drawer in drawers:
                drawing(made, character, drawer).save(tmp_path / part / name / f"{drawer}.png")
    file = tmp_path / "query" / "a" / "2.png"
    ink = Image.open(file).convert("L").point(lambda p: 255 - p)
    colour = Image.new("RGBA", ink.size, (20, 20, 120, 0))
    colour.putalpha(ink)
    colour.save(file)
    return tmp_path


def test_a_folder_of_ones_own_images(images, finished, tmp_path, capsys):
    def classify(*argv):
        argv = ("--workdir", str(tmp_path / "out"), *map(str, argv))
        return command.run(few_shot_folder.main, few_shot_folder.Config, argv=argv)

    protonet = ("--checkpoint", finished / "omniglot_protonet")
    assert classify("--images", images, *protonet) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "3 images, 3 classes, 6 examples, " in last
    assert "of 3 right" in last
    rows = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert [row["file"] for row in rows] == [f"query/{name}/2.png" for name in "abc"]
    for row in rows:
        assert set(row["probabilities"]) == {"a", "b", "c"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(row["probabilities"].values())
    assert (tmp_path / "out" / "sheet.png").exists()

    assert classify("--images", images) == 2
    assert classify("--images", tmp_path / "none", *protonet) == 2
    assert classify("--images", images, "--checkpoint", finished / "omniglot_maml") == 2
    (images / "query" / "c" / "2.png").write_bytes(b"no image")
    assert classify("--images", images, *protonet) == 2
    (images / "support" / "d").mkdir()
    errors = capsys.readouterr().err
    for message in (
        "--checkpoint is needed",
        "there is no folder",
        "tells 5 classes apart, not 3",
        "cannot be read as an image",
    ):
        assert message in errors
