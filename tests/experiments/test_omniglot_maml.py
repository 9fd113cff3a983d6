"""The flagship from the command line to its files, on a few glyphs."""

import contextlib
import io
import json
import shutil

import pytest

from experiments import omniglot_maml
from jaxdl.data import characters, glyphs, sources
from jaxdl.problems.configs import few_shot as configs
from jaxdl.train import command

TINY = (
    *("--network", "mlp", "--meta-batch", "8", "--queries", "2", "--eval-queries", "3"),
    *("--steps", "4", "--eval-every", "2", "--log-every", "2", "--eval-inner-steps", "1"),
    *("--episodes", "6", "--eval-episodes", "4"),
)


@pytest.fixture(scope="module")
def made():
    return glyphs.load(classes=120)


@pytest.fixture(autouse=True)
def _few_characters(monkeypatch, made):
    def load(dataset, *, data_dir=None, resize=None):
        if dataset == "omniglot":
            return dataset, sources.load(dataset, data_dir=data_dir)
        return "glyphs", made

    monkeypatch.setattr(characters, "load", load)


def run(*argv):
    return command.run(
        omniglot_maml.main,
        omniglot_maml.Config,
        omniglot_maml.PRESETS,
        [str(a) for a in argv],
        stored=configs.stored,
    )


@pytest.fixture(scope="module")
def original(made, tmp_path_factory):
    """A finished run and what it printed."""
    folder, printed = tmp_path_factory.mktemp("original") / "run", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))
        assert run("--workdir", folder, *TINY) == 0
    return folder, printed.getvalue()


@pytest.fixture
def trained(original, tmp_path):
    """A copy of that run."""
    return shutil.copytree(original[0], tmp_path / "run")


def files(folder):
    return {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}


def test_a_run_leaves_its_files_and_ends_with_one_line(original):
    trained, printed = original
    names = {"config.json", "metrics.jsonl", "result.json", "curves.png", "episode.png"}
    assert names <= set(files(trained))
    for name in ("curves.png", "episode.png"):
        assert files(trained)[name].startswith(b"\x89PNG")
    result = json.loads((trained / "result.json").read_text())
    assert result["experiment"] == "omniglot_maml"
    assert result["dataset"] == result["protocol"]["dataset"] == "glyphs"
    assert result["protocol"]["split"] == "random"
    assert result["steps"] == 4
    assert len(result["params_sha256"]) == 64
    assert {"python", "jax", "jaxlib", "flax", "optax", "numpy"} <= set(result["versions"])
    for mode in ("transductive", "inductive"):
        accuracy = result["metrics"][f"accuracy/{mode}"]
        assert accuracy == result["metrics"][f"accuracy/{mode}/after_1_steps"]
        assert 0 <= accuracy["mean"] <= 1
        assert accuracy["count"] == 6
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["split"]) for row in rows] == [
        *((2, "train"), (2, "valid"), (4, "train"), (4, "valid"))
    ]
    last = printed.splitlines()[-1]
    for part in ("transductive", "inductive", "glyphs 5-way 1-shot", "6 episodes", str(trained)):
        assert part in last


def test_the_same_command_again_gives_the_same_result(trained):
    before = json.loads((trained / "result.json").read_text())
    assert run("--workdir", trained, *TINY) == 0
    assert json.loads((trained / "result.json").read_text()) == before
    other = trained.with_name("other")
    assert run("--workdir", other, *TINY) == 0
    again = json.loads((other / "result.json").read_text())
    del before["seconds"], again["seconds"]
    assert again == before


def test_eval_only_uses_the_stored_options_and_leaves_the_run_as_it_was(trained, capsys):
    before = files(trained)
    result = json.loads(before["result.json"])
    assert run("--workdir", trained, "--eval-only", "--episodes", "6") == 0
    tested = json.loads((trained / "result-glyphs.json").read_text())
    assert tested["metrics"] == result["metrics"]
    assert tested["params_sha256"] == result["params_sha256"]
    after = files(trained)
    assert {name: after[name] for name in before} == before
    assert "inductive" in capsys.readouterr().out.splitlines()[-1]


def test_eval_only_on_another_data_set(trained, tfds_dir):
    argv = ("--workdir", trained, "--eval-only", "--dataset", "omniglot", "--data-dir", tfds_dir)
    assert run(*argv) == 0
    tested = json.loads((trained / "result-omniglot.json").read_text())
    assert tested["dataset"] == tested["protocol"]["dataset"] == "omniglot"


def test_mistakes_are_one_sentence_and_code_2(tmp_path, capsys):
    for argv, message in [
        (("--way", "-5"), "way must be at least 2, got -5"),
        (("--way", "90"), "way is 90, but there are only 82 classes"),
        (("--shot", "6", "--queries", "15"), "= 21, but a class has only 20 drawings"),
        (("--eval-queries", "20"), "= 21, but a class has only 20 drawings"),
        (("--steps", "0"), "--steps must be positive, got 0"),
        (("--inner-lr", "-1"), "inner learning rate must be positive"),
        (("--split", "vinyals"), "this data set has 120 classes"),
        (("--dataset", "omniglot", "--data-dir", tmp_path / "none"), "omniglot is not prepared in"),
        (("--eval-only",), "--eval-only needs a --workdir"),
    ]:
        folder = () if "--eval-only" in argv else ("--workdir", tmp_path / "run")
        assert run(*folder, *TINY, *argv) == 2, argv
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert error.count("\n") == 1
        assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_workdir_of_another_run_is_refused(trained, capsys):
    before = files(trained)
    assert run("--workdir", trained, *TINY, "--shot", "2") == 2
    assert "shot is 1 there and 2 here" in capsys.readouterr().err
    assert run("--workdir", trained, "--eval-only", "--way", "4") == 2
    assert "but not way" in capsys.readouterr().err
    assert run("--workdir", trained, "--eval-only", "--split-seed", "1") == 2
    assert "but not split_seed" in capsys.readouterr().err
    assert files(trained) == before


def damage(folder):
    largest = max((f for f in folder.rglob("*") if f.is_file()), key=lambda f: f.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(trained, capsys):
    checkpoints = trained / "checkpoints"
    before = json.loads((trained / "result.json").read_text())
    damage(checkpoints / "4")
    assert run("--workdir", trained, "--eval-only", "--episodes", "6") == 0
    said = capsys.readouterr().err
    assert "the checkpoint of step 4" in said
    assert "that of step 2 is used" in said
    assert json.loads((trained / "result-glyphs.json").read_text())["steps"] == 2
    assert run("--workdir", trained, *TINY) == 0
    assert "that of step 2 is used" in capsys.readouterr().err
    again = json.loads((trained / "result.json").read_text())
    assert again["params_sha256"] == before["params_sha256"]
    assert again["metrics"] == before["metrics"]
    for step in ("2", "4"):
        damage(checkpoints / step)
    kept = files(trained)
    for extra in (TINY, ("--eval-only",)):
        assert run("--workdir", trained, *extra) == 2
        assert "there is none that is not" in capsys.readouterr().err
    assert files(trained) == kept


def test_bad_options_are_named(capsys):
    for argv in (("--wya", "5"), ("--way", "five"), ("--dataset", "mnist")):
        with pytest.raises(SystemExit) as stop:
            run(*argv)
        assert stop.value.code == 2
        assert argv[0] in capsys.readouterr().err
