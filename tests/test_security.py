"""Files from strangers can be wrong, but they cannot run code."""

import ast
import io
import os
import pickle
import re
import struct
import tracemalloc
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import archive
from jaxdl.train.checkpoint import CheckpointError, Checkpoints
from jaxdl.train.state import TrainState
from jaxdl.train.teacher_cache import cached

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for part in ("jaxdl", "experiments") for path in (ROOT / part).rglob("*.py")]
# Modules that run what they read, and calls that do.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml"}
CALLS = {"eval", "exec", "os.system", "os.popen", "torch.load", "pickle.load", "pickle.loads"}
UNPACKING = {"extract", "extractall", "unpack_archive"}


def dangers(tree):
    """Yields what in a module could run what is read from a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            yield from {name.split(".")[0] for name in names} & MODULES
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            options = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if function in CALLS or function.split(".")[-1] in UNPACKING:
                yield function
            if options.get("shell") == "True":
                yield f"{function}(shell=True)"
            if function in ("np.load", "np.save") and options.get("allow_pickle") != "False":
                yield f"{function} without allow_pickle=False"


def test_nothing_is_unpickled_evaluated_or_unpacked():
    assert len(SOURCES) > 100
    assert not {
        f"{path.relative_to(ROOT)}: {danger}"
        for path in SOURCES
        for danger in dangers(ast.parse(path.read_text()))
    }


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from yaml import load", "eval(x)", "np.load(x)", "a.extractall()"),
        *("np.load(x, allow_pickle=True)", "run(x, shell=True)"),
    ],
)
def test_dangers_are_seen(line):
    assert len(list(dangers(ast.parse(line)))) == 1


class Bomb:
    """What a pickle of it runs makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_is_a_bomb(tmp_path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def test_a_checkpoint_from_a_stranger_fails_and_runs_nothing(tmp_path):
    state = TrainState(jnp.int32(1), jnp.ones(3), (), (), jax.random.key(0))
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(state, metadata={})
    files = [path for path in (tmp_path / "checkpoints").rglob("*") if path.is_file()]
    assert len(files) > 4
    for file in files:
        before = file.read_bytes()
        file.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
        try:
            with Checkpoints(tmp_path / "checkpoints") as checkpoints:
                found, _ = checkpoints.restore(state)
            np.testing.assert_array_equal(found.params, state.params)  # a file without importance
        except CheckpointError:
            pass
        file.write_bytes(before)
    assert not (tmp_path / "ran").exists()


def test_a_teachers_outputs_from_a_stranger_are_not_unpickled(tmp_path):
    np.save(tmp_path / "teacher.npy", np.array([Bomb(tmp_path / "ran")], object))
    (tmp_path / "teacher.json").write_text("{}")
    with pytest.raises(ValueError, match=r"allow_pickle|Array can't be memory-mapped"):
        cached(tmp_path, {}, lambda: np.zeros(1))
    assert not (tmp_path / "ran").exists()


def names_in(content):
    return [found[0] for found, _ in archive.matching(io.BytesIO(content), re.compile(".*"), "zip")]


def zipped(names, content=b"x"):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in names:
            opened.writestr(name, content)
    return file.getvalue()


def test_an_archive_with_too_many_files_is_refused(monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    assert len(names_in(zipped("ab"))) == 2
    with pytest.raises(archive.ArchiveError, match="zip has 3 files, more than 2"):
        names_in(zipped("abc"))


def test_a_file_that_is_larger_than_it_says_is_not_unpacked():
    size = 30_000_000
    bomb = zipped(["a"], bytes(size))
    with pytest.raises(archive.ArchiveError, match="zip: a is too large"):
        names_in(bomb)
    lie = bomb.replace(struct.pack("<I", size), struct.pack("<I", 100))
    assert lie != bomb
    tracemalloc.start()
    with pytest.raises(archive.ArchiveError, match="zip is damaged"):
        names_in(lie)
    assert tracemalloc.get_traced_memory()[1] < size / 10
    tracemalloc.stop()


def test_names_that_lead_elsewhere_write_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert names_in(zipped(["../../up", "/etc/of-root"])) == ["../../up", "/etc/of-root"]
    assert not list(tmp_path.iterdir())
    assert not (tmp_path.parents[1] / "up").exists()
