"""The tables of README and docs say what the files in results say, and these are whole."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from experiments import tables as experiment
from jaxdl.train import command, result, result_older, tables

ROOT = Path(__file__).resolve().parents[1]
RESULTS = sorted((ROOT / "results").glob("**/result*.json"))


def run(root, *argv):
    return command.run(experiment.main, experiment.Config, argv=("--root", str(root), *argv))


def test_the_pages_show_what_the_files_say():
    assert run(ROOT, "--check") == 0


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: str(path.relative_to(ROOT / "results")))
def test_a_kept_result_is_whole(path):
    kept = json.loads(path.read_text())
    result.check(kept)
    assert kept["metrics"]
    if kept["command"] is not None:
        python, m, module = shlex.split(kept["command"])[:3]
        assert (python, m, module) == ("python", "-m", f"experiments.{kept['experiment']}")
        assert (ROOT / (module.replace(".", "/") + ".py")).exists()


@pytest.fixture
def pages(tmp_path):
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copytree(ROOT / "results", tmp_path / "results")
    return tmp_path


def test_a_figure_that_differs_is_named_and_written(pages, capsys):
    path = pages / "results/mnist_mlp-mnist-seed0/result.json"
    kept = json.loads(path.read_text())
    kept["metrics"]["accuracy"]["mean"] = 0.5
    path.write_text(json.dumps(kept))
    before = (pages / "docs/classification.md").read_text()
    assert run(pages, "--check") == 2
    assert "differ from the files in results: classifiers in classif" in capsys.readouterr().err
    assert (pages / "docs/classification.md").read_text() == before
    assert run(pages) == 0
    assert run(pages, "--check") == 0
    changed = (pages / "docs/classification.md").read_text()
    assert len(set(before.splitlines()) ^ set(changed.splitlines())) == 2


def test_mistakes_are_one_sentence(pages, capsys):
    (pages / "docs/gan.md").write_text("<!-- table: pears -->\n<!-- end -->\n")
    assert run(pages) == 2
    assert "results/tables.toml has no table pears" in capsys.readouterr().err
    (pages / "docs/gan.md").unlink()
    assert run(pages) == 2
    assert "no page has the table anomalies" in capsys.readouterr().err


def test_how_figures_are_shown(tmp_path):
    def write(run, seconds, **metrics):
        found = {"experiment": "mnist_mlp", "metrics": metrics, "seconds": seconds}
        (tmp_path / run).mkdir()
        (tmp_path / run / "result.json").write_text(json.dumps(result_older.converted(found, {})))

    share = {"value": 0.98236, "ci95": 0.00176, "images": 1000, "mistakes": 18}
    write("a-seed0", 119.0, accuracy=share, area={"0": {"value": 0.25}, "1": {"value": 0.75}})
    write("a-seed1", 60.0, accuracy=share | {"value": 0.97236})
    for template, shown in {
        "{a-seed0: accuracy}, {: accuracy: .1%}": "98.24 ± 0.18, 98.2",
        "{a-seed0: accuracy: error .2%} {: minutes}": "1.76 ± 0.18 2",
        "{a-seed0: accuracy: mistakes d} of {: accuracy: count ,d}": "18 of 1,000",
        "{a-seed*: accuracy}, {: accuracy: each .3f}": "97.74 ± 0.71, 0.982, 0.972",
        "{a-seed0: area/*: range .2f}": "0.25 to 0.75",
    }.items():
        assert tables.filled(template, tmp_path) == shown
    for template in ("{b: accuracy}", "{a-seed0: loss}", "{a-seed0: command}"):
        with pytest.raises(ValueError, match=r"cannot show \{"):
            tables.filled(template, tmp_path)
