"""What a finished run is good for: Lake's trials, and a folder of one's own images."""

import json
import zipfile

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
from jaxdl.train import command

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
    for run in range(RUNS):
        assert sorted(trials["label"][run]) == list(range(WAY))
        order = np.random.default_rng(run + 1).permutation(WAY)
        np.testing.assert_array_equal(trials["label"][run], order)
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
    def run(name, *argv):
        argv = ("--archive", str(archive), "--workdir", str(tmp_path / "out"), *argv)
        argv += ("--checkpoint", str(finished / name)) if name else ()
        code = command.run(omniglot_lake.main, omniglot_lake.Config, argv=argv)
        return code, capsys.readouterr().err

    assert run("omniglot_protonet", "--views", "2") == (0, "")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert set(result["metrics"]) == {"error/inductive", "error/transductive"}
    assert result["protocol"]["trained"]["views"] == 2
    for name, argv, message in (
        ("omniglot_maml", (), "tells 5 classes apart, not 4"),
        ("omniglot_maml", ("--views", "2"), "omniglot_maml has no --views"),
        ("nothing", (), "has no finished run"),
        (None, ("--views", "2"), "--views needs a --checkpoint"),
    ):
        code, error = run(name, *argv)
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
    def run(*argv):
        argv = ("--workdir", str(tmp_path / "out"), *map(str, argv))
        return command.run(few_shot_folder.main, few_shot_folder.Config, argv=argv)

    protonet = ("--checkpoint", finished / "omniglot_protonet")
    assert run("--images", images, *protonet) == 0
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

    assert run("--images", images) == 2
    assert run("--images", tmp_path / "none", *protonet) == 2
    assert run("--images", images, "--checkpoint", finished / "omniglot_maml") == 2
    (images / "query" / "c" / "2.png").write_bytes(b"no image")
    assert run("--images", images, *protonet) == 2
    (images / "support" / "d").mkdir()
    errors = capsys.readouterr().err
    for message in (
        "--checkpoint is needed",
        "there is no folder",
        "tells 5 classes apart, not 3",
        "cannot be read as an image",
    ):
        assert message in errors
