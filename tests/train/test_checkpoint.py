"""Checkpoints: exact, kept by age and score, verified, and whole or absent."""

import asyncio
import gc
import shutil
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.train.checkpoint import CheckpointError, Checkpoints
from jaxdl.train.digest import digest
from jaxdl.train.state import TrainState


def make_state(step=0, scale=1.0):
    """A state with all that Orbax alone does not bring back: typed keys, empty arrays, tuples."""
    params = {
        "dense": {"kernel": scale * jnp.arange(12.0).reshape(3, 4), "none": jnp.zeros((0, 3))},
        "half/precision": jnp.ones(5, jnp.bfloat16),
    }
    extra = (jax.random.key(7, impl="rbg"), [jnp.array(True)])
    opt_state = optax.adam(1e-3).init(params)
    return TrainState(jnp.int32(step), params, opt_state, extra, jax.random.key(3))


def save_scores(folder, scores, first=1, **options):
    with Checkpoints(folder, **options) as checkpoints:
        for step, score in enumerate(scores, first):
            checkpoints.save(make_state(step), metadata={}, score=score)


def steps_in(folder):
    return sorted(int(path.name) for path in folder.iterdir())


@pytest.mark.parametrize("concrete", [True, False])
def test_brings_back_every_leaf_bit_for_bit(tmp_path, concrete):
    state = make_state(5, scale=0.1)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={"config": {"way": 5, "shape": (1, 2)}})
    template = make_state() if concrete else jax.eval_shape(make_state)
    with Checkpoints(tmp_path) as checkpoints:
        restored, metadata = checkpoints.restore(template)
    assert digest(restored) == digest(state)
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    assert jax.random.key_impl(restored.extra[0]) == "rbg"
    assert metadata == {"config": {"way": 5, "shape": [1, 2]}}


def test_the_state_may_be_donated_at_once(tmp_path):
    overwrite = jax.jit(lambda s: s._replace(params=-s.params, step=s.step + 1), donate_argnums=0)
    state = TrainState(jnp.int32(0), jnp.ones(100_000), (), (), jax.random.key(0))
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        for _ in range(5):
            state = overwrite(state)
        restored, _ = checkpoints.restore(state)
    np.testing.assert_array_equal(restored.params, np.ones(100_000, np.float32))


def test_restored_arrays_go_where_the_template_is(tmp_path):
    save_scores(tmp_path, [None])
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere = jax.NamedSharding(mesh, jax.P())
    with Checkpoints(tmp_path) as checkpoints:
        free, _ = checkpoints.restore(make_state())
        placed, _ = checkpoints.restore(jax.device_put(make_state(), everywhere))
    assert not any(leaf.committed for leaf in jax.tree.leaves(free))
    assert {leaf.sharding for leaf in jax.tree.leaves(placed)} == {everywhere}


def test_looking_writes_nothing(tmp_path):
    folder = tmp_path / "none"
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.latest_step() is None
        assert checkpoints.best_step() is None
        with pytest.raises(CheckpointError, match="no checkpoint in"):
            checkpoints.restore(make_state())
    assert not folder.exists()


def test_looking_at_a_run_that_is_training(tmp_path):
    training = threading.Thread(target=save_scores, args=(tmp_path, [None] * 20))
    training.start()
    seen = set()
    while training.is_alive():
        with Checkpoints(tmp_path) as checkpoints:
            seen.add(checkpoints.latest_step())
    training.join()
    assert steps_in(tmp_path) == [19, 20]
    assert len(seen) > 2


def test_keeps_the_newest_and_the_best(tmp_path):
    save_scores(tmp_path, [0.1, 0.9, None, 0.3, 0.2])
    assert steps_in(tmp_path) == [2, 4, 5]
    save_scores(tmp_path, [None, 0.8], first=6, keep=1)  # the scores are known after a restart
    assert steps_in(tmp_path) == [2, 7]
    with Checkpoints(tmp_path) as checkpoints:
        assert (checkpoints.latest_step(), checkpoints.best_step()) == (7, 2)
        assert checkpoints.score(2) == 0.9


@pytest.mark.parametrize(("scores", "best"), [([None, None], 2), ([0.5, 0.5], 2), ([-1, -2], 1)])
def test_best_step(tmp_path, scores, best):
    save_scores(tmp_path, scores)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best_step() == best


def test_a_step_saved_twice_is_replaced(tmp_path):
    save_scores(tmp_path, [0.5, None])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(make_state(2, scale=2.0), metadata={}, score=0.7)
        restored, _ = checkpoints.restore(make_state())
        assert checkpoints.best_step() == 2
    assert digest(restored) == digest(make_state(2, scale=2.0))
    assert steps_in(tmp_path) == [1, 2]


def test_what_a_killed_save_left_is_ignored_then_removed(tmp_path):
    save_scores(tmp_path, [None])
    left = [tmp_path / "2.orbax-checkpoint-tmp" / "state", tmp_path / "discarded" / "0"]
    for folder in [*left, tmp_path / "1.bak"]:
        folder.mkdir(parents=True)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest_step() == 1
        assert all(folder.exists() for folder in left)
        checkpoints.save(make_state(2), metadata={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "1.bak", "2"]


def test_another_model_or_a_missing_step_is_refused(tmp_path):
    save_scores(tmp_path, [None, None])
    template = make_state()
    template.params["dense"]["kernel"] = jnp.zeros((3, 5))
    with Checkpoints(tmp_path) as checkpoints:
        with pytest.raises(
            CheckpointError, match=r"'kernel'\] is .*\[3, 4\]. there and .*\[3, 5\]"
        ):
            checkpoints.restore(template)
        with pytest.raises(CheckpointError, match=r"step 7 .* only \[1, 2\]"):
            checkpoints.restore(make_state(), 7)


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes(b ^ 0xFF for b in data[middle : middle + 8]) + data[middle + 8 :]


@pytest.mark.parametrize("damage", [flip, lambda data: data[: len(data) // 2]])
def test_damage_to_any_file_is_noticed_or_harmless(tmp_path, capfd, damage):
    save_scores(tmp_path / "whole", [None, None])
    noticed = set()
    for path in sorted(p for p in (tmp_path / "whole" / "2").rglob("*") if p.is_file()):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / "damaged", dirs_exist_ok=True)
        file = folder / path.relative_to(tmp_path / "whole")
        file.write_bytes(damage(file.read_bytes()))
        with Checkpoints(folder) as checkpoints:
            found, _ = checkpoints.restore(make_state())
            said = capfd.readouterr().err
            if found.step == 2:
                assert digest(found) == digest(make_state(2))
                assert said == ""
                continue
            noticed.add(path.parent.name)
            assert digest(found) == digest(make_state(1))
            assert said.startswith(f"the checkpoint of step 2 in {folder} is damaged, its ")
            assert said.endswith("; that of step 1 is used\n")
            assert said.count("\n") == 1
            assert checkpoints.latest_step() == checkpoints.best_step() == 1
            with pytest.raises(CheckpointError, match=r"of step 2 .* is damaged"):
                checkpoints.restore(make_state(), 2)
            assert file.exists()  # nothing was removed
            checkpoints.save(make_state(2), metadata={})
        with Checkpoints(folder) as checkpoints:  # replaced
            assert digest(checkpoints.restore(make_state())[0]) == digest(make_state(2))
    assert {"about", "state", "d"} <= noticed
    assert capfd.readouterr().err == ""


def test_when_all_are_damaged(tmp_path):
    save_scores(tmp_path, [0.1, 0.2])
    for step in ("1", "2"):
        for file in (tmp_path / step).rglob("metadata"):
            file.write_bytes(flip(file.read_bytes()))
    with Checkpoints(tmp_path) as checkpoints:
        # None would let a run start from the beginning without a word.
        for ask in (
            lambda: checkpoints.restore(make_state()),
            checkpoints.latest_step,
            checkpoints.best_step,
        ):
            with pytest.raises(CheckpointError, match=f"none that is not: delete {tmp_path} to"):
                ask()


def test_a_full_disk_is_seen_before_writing(tmp_path, monkeypatch):
    save_scores(tmp_path, [None])
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with (
        pytest.raises(CheckpointError, match=r"step 2 .* No space left .* step 1 is kept"),
        Checkpoints(tmp_path) as checkpoints,
    ):
        checkpoints.save(make_state(2), metadata={})
    assert steps_in(tmp_path) == [1]


BACKGROUND_FAILURE = """
import resource, signal, sys, jax, jax.numpy as jnp
from jaxdl.train.checkpoint import Checkpoints, CheckpointError
from jaxdl.train.state import TrainState

noise = lambda i: jax.random.normal(jax.random.key(i), (50_000,))
state = TrainState(jnp.int32(1), {"a": noise(0), "b": noise(1)}, (), (), jax.random.key(0))
with Checkpoints(sys.argv[1]) as checkpoints:
    checkpoints.save(state, metadata={})
    checkpoints.wait()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    checkpoints.save(state._replace(step=jnp.int32(2)), metadata={})
    try:
        checkpoints.wait()
    except CheckpointError as error:
        print(error)
    checkpoints.restore(state)
"""


def test_an_error_in_the_background_is_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BACKGROUND_FAILURE, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"cannot save step 2 in {tmp_path}: File too large; the checkpoint of step 1 is kept\n"
    )
    assert done.stderr == ""
    assert steps_in(tmp_path) == [1]


def test_an_array_that_arrives_while_a_failed_save_is_removed_goes_too(tmp_path, monkeypatch):
    save_scores(tmp_path, [None])
    left, remove, late = tmp_path / "2.orbax-checkpoint-tmp", shutil.rmtree, ["b", "c"]
    (left / "state").mkdir(parents=True)

    def removed_then_written_again(folder, **how):
        remove(folder, **how)
        if folder == left and late:
            left.mkdir()
            (left / late.pop()).touch()

    monkeypatch.setattr(shutil, "rmtree", removed_then_written_again)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(make_state(2), metadata={})
    assert not late
    assert steps_in(tmp_path) == [1, 2]


FULL_DISK = """
import os, shutil, sys, jax, jax.numpy as jnp
from jaxdl.train.checkpoint import Checkpoints, CheckpointError
from jaxdl.train.state import TrainState

noise = jax.random.normal(jax.random.key(0), (50_000,))  # 200 kB
state = TrainState(jnp.int32(1), noise, (), (), jax.random.key(0))
room = shutil.disk_usage(sys.argv[1])
with Checkpoints(sys.argv[1]) as checkpoints:
    checkpoints.save(state, metadata={})
    checkpoints.wait()
    other = os.path.join(sys.argv[1], "other")
    with open(other, "wb") as file:
        file.write(bytes(shutil.disk_usage(sys.argv[1]).free - 100_000))
    shutil.disk_usage = lambda _: room  # as if another program had filled the disk since
    try:
        checkpoints.save(state._replace(step=jnp.int32(2)), metadata={})
        checkpoints.wait()
    except CheckpointError as error:
        print(error)
    checkpoints.restore(state)
    os.remove(other)
    checkpoints.save(state._replace(step=jnp.int32(3)), metadata={})
    checkpoints.wait()
print(sorted(os.listdir(sys.argv[1])))
"""


def test_a_disk_that_becomes_full_in_a_save(tmp_path):
    mounted = 'mount -t tmpfs -o size=700k tmpfs "$0"'
    alone = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if not shutil.which("unshare") or subprocess.run([*alone, mounted, tmp_path]).returncode:
        pytest.skip("no small file system can be mounted here")
    program = (sys.executable, "-W", "error", "-c", FULL_DISK, tmp_path)
    done = subprocess.run(
        [*alone, f'{mounted} && exec "$@"', tmp_path, *program],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"cannot save step 2 in {tmp_path}: No space left on device; the checkpoint of step 1 is "
        "kept\n['1', '3']\n"
    )
    assert done.stderr == ""


def test_of_several_failed_arrays_only_the_first_is_reported(tmp_path, caplog):
    Checkpoints(tmp_path).close()
    loop = asyncio.new_event_loop()
    for error in ('Error writing ".key/0" in OCDBT database at ...', "of the user"):
        loop.create_future().set_exception(ValueError(error))  # and nobody asks for it
    loop.close()
    gc.collect()
    assert [str(record.exc_info[1]) for record in caplog.records] == ["of the user"]


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(CheckpointError, match="Not a directory; none is there yet"),
        Checkpoints(tmp_path / "file" / "checkpoints") as checkpoints,
    ):
        checkpoints.save(make_state(1), metadata={})


def test_the_digest_sees_names_types_shapes_and_values():
    trees = [
        {"a": jnp.zeros(4)},
        {"b": jnp.zeros(4)},
        {"a": jnp.zeros(4, jnp.int32)},
        {"a": jnp.zeros((2, 2))},
        {"a": -jnp.zeros(4)},
        {"a": jax.random.key(0)},
        {"a": jax.random.key(0, impl="rbg")},
        {"a": jax.random.key_data(jax.random.key(0))},
    ]
    assert len({digest(tree) for tree in trees}) == len(trees)
    assert digest(trees[0]) == digest({"a": np.zeros(4, np.float32)})
