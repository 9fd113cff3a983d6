"""The folder of a run: whole files, one owner, honest numbers."""

import json
import os
import subprocess
import sys

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from jaxdl.train.report import Report, WorkdirError, differences


def write_rows(folder, rows):
    folder.mkdir(exist_ok=True)
    with (folder / "metrics.jsonl").open("w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def row(step, split="train", **values):
    return {"step": step, "split": split, "loss": 1.0 / step, **values, "seconds": 0.5 * step}


def test_differences():
    assert differences({"way": 5, "shape": [1, 2]}, {"shape": (1, 2), "way": 5}) == []
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"c": 3, "b": 1}}) == [
        "a.c is 2 there and 3 here"
    ]
    assert differences({"way": 5, "lr": None, "old": 1}, {"way": 20, "lr": 0.1, "new": "a"}) == [
        "way is 5 there and 20 here",
        "lr is null there and 0.1 here",
        "old is 1 there and absent here",
        'new is absent there and "a" here',
    ]


def test_a_folder_belongs_to_one_config(tmp_path):
    report = Report(tmp_path / "run")
    assert report.config() is None
    assert not (tmp_path / "run").exists()  # looking makes nothing
    report.check_config({"way": 5, "lr": 0.4, "shape": (1, 2)})
    report.check_config({"way": 5, "lr": 0.4, "shape": (1, 2)})
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(WorkdirError, match=r"way is 5 there and 20 here; choose another --workdir"):
        report.check_config({"way": 20, "lr": 0.4, "shape": (1, 2)})
    assert (tmp_path / "run" / "config.json").read_bytes() == before


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_config_is_named(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(WorkdirError, match=r"cannot read .*config.json: "):
        Report(tmp_path).check_config({})


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_an_unwritable_folder(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(WorkdirError, match=r"cannot write .*config.json: "):
        Report(tmp_path / place).check_config({})
    with (
        pytest.raises(WorkdirError, match=r"cannot write .*lock: "),
        Report(tmp_path / place).exclusive(),
    ):
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    report = Report(tmp_path)
    with (
        pytest.raises(WorkdirError, match=r"metrics.jsonl: No space left on device$"),
        report.exclusive(),
    ):
        report.log(row(1))


def test_one_program_trains_at_a_time(tmp_path):
    with Report(tmp_path).exclusive():
        with (
            pytest.raises(WorkdirError, match="another program is training"),
            Report(tmp_path).exclusive(),
        ):
            pass
        Report(tmp_path).write_json("result-other.json", {})  # evaluating meanwhile is fine
    with Report(tmp_path).exclusive():
        pass


def test_rows_are_on_the_disk_at_once(tmp_path):
    report = Report(tmp_path)
    with report.exclusive():
        report.log(row(1))
        report.log(row(2, "valid"))
        assert Report(tmp_path).rows() == [row(1), row(2, "valid")]
        with pytest.raises(ValueError, match="not JSON compliant"):
            report.log(row(3, accuracy=float("nan")))
    assert report.rows() == [row(1), row(2, "valid")]
    assert report.seconds() == 1.0
    assert Report(tmp_path / "none").seconds() == 0.0


def test_resuming_drops_later_and_torn_rows(tmp_path):
    write_rows(tmp_path, [row(5), row(10), row(10, "valid"), row(15)])
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    (tmp_path / "metrics.jsonl").write_bytes(whole[:-9])
    report = Report(tmp_path)
    assert report.truncate_after(10) == [row(5), row(10), row(10, "valid")]
    with report.exclusive():
        report.log(row(15))
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole
    assert report.truncate_after(0) == report.rows() == []


def test_json_is_stable_and_refuses_what_is_not_a_number(tmp_path):
    report = Report(tmp_path)
    report.write_json("a.json", {"b": 1, "a": [0.5]})
    text = (tmp_path / "a.json").read_text()
    assert text == '{\n  "a": [\n    0.5\n  ],\n  "b": 1\n}\n'
    for bad in (float("nan"), float("inf"), object()):
        with pytest.raises((ValueError, TypeError)):
            report.write_json("a.json", {"a": bad})
    assert (tmp_path / "a.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path):
    class Failing(Figure):
        def savefig(self, file, **options):
            file.write(b"half")
            raise OSError(28, "No space left on device")

    report = Report(tmp_path)
    report.save_figure(Figure(), "a.png")
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(WorkdirError, match=r"cannot write .*a.png: No space left on device"):
        report.save_figure(Failing(), "a.png")
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_curves(tmp_path):
    train = [row(s, accuracy=s / 40) for s in range(1, 40)]
    write_rows(tmp_path, [*train, row(20, "valid", accuracy=0.5)])
    report = Report(tmp_path)
    report.write_curves(chance=0.2)
    report.write_curves("loss.png", metrics=["loss"])
    wide, narrow = (matplotlib.image.imread(tmp_path / n) for n in ("curves.png", "loss.png"))
    assert wide.shape[1] == 2 * narrow.shape[1]
    assert narrow.std() > 0.05  # something was drawn
    Report(tmp_path / "empty").write_curves()


def test_tensorboard_has_the_metrics_when_installed(tmp_path):
    pytest.importorskip("tensorboardX")
    report = Report(tmp_path)
    with report.exclusive():
        report.log(row(1, accuracy=0.5))
    (events,) = (tmp_path / "tensorboard").iterdir()
    assert b"train/accuracy" in events.read_bytes()


def test_importing_is_light():
    heavy = {"orbax", "matplotlib", "tensorboardX", "tensorflow", "tensorflow_datasets"}
    code = f"import sys, jaxdl.train.loop, jaxdl.train.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
