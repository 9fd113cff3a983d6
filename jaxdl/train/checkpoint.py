"""Checkpoints: written in the background, kept by age and score, verified when read back.

Orbax writes the arrays and makes each checkpoint appear at once or not at all. Added here are
what it leaves out: a digest (it restores flipped bytes without complaint), typed keys and empty
arrays, the removal of old checkpoints by one rename (so that a kill leaves no half-removed one),
and errors of one sentence.
"""

import contextlib
import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxdl.train import processes
from jaxdl.train.digest import digest_of, host_copy, json_digest, named, parsed, types_of
from jaxdl.train.orbax import NewestAndBest, quieten
from jaxdl.train.report import differences
from jaxdl.train.state import TrainState, unraw
from jaxdl.train.storage import errors_of, folder, in_bucket, reason_of

_DISCARDED = "discarded"  # old checkpoints are renamed into this folder, then removed


class CheckpointError(ValueError):
    """A checkpoint that could not be written, or not be read back exactly."""


class _DamagedError(CheckpointError):
    """What is there is not what was saved."""


class Checkpoints:
    """The checkpoints of one run: the newest few and the one with the best score.

    Opening reads what is there and writes nothing, so another program may look at the
    checkpoints of a run that is still training. Use as a context manager, or call `close`.
    """

    def __init__(self, directory: str | os.PathLike, keep: int = 2):
        """Opens a folder of checkpoints, which need not exist yet.

        Args:
          directory: the folder; each checkpoint is a folder in it, named by its step.
          keep: how many of the newest checkpoints to keep, at least 1; the best is kept besides.

        Raises:
          CheckpointError: the folder cannot be read.
        """
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self.directory = folder(directory)
        self._about: dict[int, dict[str, Any]] = {}  # by step: all that is known but the arrays
        self._damage: dict[int, str] = {}  # by step: what is wrong with it
        self._saving: int | None = None  # the step that is being written in the background
        quieten()
        self._policy = NewestAndBest(keep, self._best)
        for _ in range(4):  # a run that is training may rename a folder while we look
            with contextlib.suppress(CheckpointError):
                self._open()
                if not self._damage:
                    return
            time.sleep(0.05)
        self._open()

    def _open(self) -> None:
        own = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            create=False,
            todelete_subdir=_DISCARDED,
            preservation_policy=self._policy,
            # Of several processes the first writes what all have; the others only look, each for
            # itself.
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"{own}"
            ),
        )
        with errors_of(
            self.directory,
            lambda reason: CheckpointError(f"cannot open {self.directory}: {reason}"),
        ):
            directory = self.directory if in_bucket(self.directory) else self.directory.absolute()
            self._manager = ocp.CheckpointManager(directory, options=options)
        self._about, self._damage = {}, {}
        for step in self._manager.all_steps():
            try:
                self._about[step] = self._read_about(step)
            except _DamagedError as error:
                self._damage[step] = str(error)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # An exception on its way out says more than the failed save that it may have caused.
        with contextlib.nullcontext() if kind is None else contextlib.suppress(CheckpointError):
            self.close()

    def latest_step(self) -> int | None:
        """Returns the newest step saved, None when there is none."""
        return max(self._whole(), default=None)

    def best_step(self) -> int | None:
        """Returns the step of the highest score, the newest of equals; of none scored, the newest.

        None when there is no checkpoint.
        """
        return self._best(self._whole())

    def score(self, step: int) -> float | None:
        """Returns the score that the checkpoint of `step` was saved with."""
        return self._about[step]["score"]

    def save(
        self, state: TrainState, *, metadata: Mapping[str, Any], score: float | None = None
    ) -> None:
        """Copies the state to the host and writes it in the background; waits for the save before.

        A checkpoint of the same step is replaced. Of several processes the first alone does it.

        Args:
          state: all its leaves arrays; may be donated as soon as this returns.
          metadata: JSON object kept beside the arrays: config, protocol.
          score: higher is better; None for a checkpoint that was not evaluated.

        Raises:
          CheckpointError: this save, or the one before it, failed; nothing half-written remains.
        """
        if not processes.is_main():
            return
        self.wait()
        types, host = types_of(state), host_copy(state)
        step = int(host[".step"])
        about = {
            "step": step,
            "score": score,
            "metadata": json.loads(json.dumps(metadata)),  # as it will be read: lists, str keys
            "leaves": types,
            "state_sha256": digest_of(types, host),
        }
        arrays = {name: value for name, value in host.items() if value.size}
        with self._saves(step):
            self.directory.mkdir(parents=True, exist_ok=True)
            self._sweep()
            needed = sum(array.nbytes for array in arrays.values())
            if not in_bucket(self.directory) and shutil.disk_usage(self.directory).free < needed:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if step in self._manager.all_steps():
                self._manager.delete(step)
            self._about[step] = about
            self._saving = step
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(arrays),
                    about=ocp.args.JsonSave({**about, "sha256": json_digest(about)}),
                ),
                force=True,
            )

    def restore(
        self, template: TrainState, step: int | None = None
    ) -> tuple[TrainState, dict[str, Any]]:
        """Reads a checkpoint back, bit for bit.

        Args:
          template: a state of the same structure, shapes and types, concrete or from
            `jax.eval_shape`; committed leaves and leaves with a sharding say where arrays go. With
            None for its optimizer's state it is restored without one, to predict with.
          step: which checkpoint; when None, the newest that is not damaged, and those that are are
            named on standard error.

        Returns:
          (state, metadata).

        Raises:
          CheckpointError: there is none, it is damaged, or it does not fit the template.
        """
        self.wait()
        steps = sorted(self._manager.all_steps())
        if not steps:
            raise CheckpointError(f"no checkpoint in {self.directory}: train first")
        if step is not None and step not in steps:
            raise CheckpointError(f"no checkpoint of step {step} in {self.directory}, only {steps}")
        if step is not None:
            if step in self._damage:
                raise CheckpointError(self._damage[step])
            return self._restore(template, step)
        while True:
            newest = self._whole()[-1]
            try:
                found = self._restore(template, newest)
            except _DamagedError as error:
                self._damage[newest] = str(error)
                continue
            for damaged in reversed([each for each in steps if each > newest]):
                print(f"{self._damage[damaged]}; that of step {newest} is used", file=sys.stderr)
            return found

    def _restore(self, template: TrainState, step: int) -> tuple[TrainState, dict[str, Any]]:
        about, types = self._about[step], types_of(template)
        there = about["leaves"]
        if template.opt_state is None:
            there = {name: kind for name, kind in there.items() if not _of_optimizer(name)}
        if differing := differences(there, types):
            raise CheckpointError(
                f"the checkpoint of step {step} in {self.directory} is of another model: "
                f"{differing[0]} ({len(differing)} such differences)"
            )
        try:
            host = {name: _empty(kind) for name, kind in about["leaves"].items()}
            wanted = {name: value for name, value in host.items() if value.size}
            args = ocp.args.Composite(state=ocp.args.StandardRestore(wanted))
            host |= self._manager.restore(step, args=args).state
        except Exception as error:  # each kind of damage raises another type
            raise self._damaged(step, "its arrays cannot be read") from error
        if digest_of(about["leaves"], host) != about["state_sha256"]:
            raise self._damaged(step, "its arrays are not those that were saved")
        leaves = [_place(host[name], leaf) for name, leaf in named(template)]
        return jax.tree.unflatten(jax.tree.structure(template), leaves), about["metadata"]

    def wait(self) -> None:
        """Returns when the last save is on the disk.

        Raises:
          CheckpointError: that save failed.
        """
        if self._saving is not None:
            with self._saves(self._saving):
                self._manager.wait_until_finished()
            self._saving = None
            self._sweep()

    def close(self) -> None:
        """Waits for the last save and lets go of the folder; raises what `wait` raises."""
        try:
            self.wait()
        finally:
            self._manager.close()

    def _best(self, steps: list[int]) -> int | None:
        scored = [s for s in steps if s in self._about and self.score(s) is not None]
        return max(scored or steps, key=lambda s: (self.score(s) or 0.0, s), default=None)

    def _read_about(self, step: int) -> dict[str, Any]:
        try:
            args = ocp.args.Composite(about=ocp.args.JsonRestore())
            about = self._manager.restore(step, args=args).about
            found = about.pop("sha256")
        except Exception as error:  # each kind of damage raises another type
            raise self._damaged(step, "its description cannot be read") from error
        if found != json_digest(about):
            raise self._damaged(step, "its description is not the one that was saved")
        return about

    def _whole(self) -> list[int]:
        """Returns the steps that are not damaged, sorted; raises when there are only others."""
        steps = sorted(self._manager.all_steps())
        whole = [step for step in steps if step not in self._damage]
        if steps and not whole:
            raise CheckpointError(
                f"{self._damage[steps[-1]]}, and there is none that is not: delete "
                f"{self.directory} to start from the beginning"
            )
        return whole

    def _damaged(self, step: int, how: str) -> "_DamagedError":
        return _DamagedError(f"the checkpoint of step {step} in {self.directory} is damaged, {how}")

    @contextlib.contextmanager
    def _saves(self, step: int):
        try:
            yield
        except Exception as error:
            self._saving = None
            kept = [s for s in self._manager.all_steps() if s != step]
            self._sweep()
            raise CheckpointError(
                f"cannot save step {step} in {self.directory}: {reason_of(error)}; "
                + (f"the checkpoint of step {max(kept)} is kept" if kept else "none is there yet")
            ) from error

    def _sweep(self) -> None:
        """Removes what a killed or failed save left; only while no save is in flight."""
        if in_bucket(self.directory):
            # Without its mark of success it is no checkpoint, but in the way of one of that step.
            there = self.directory.iterdir() if self.directory.exists() else ()
            steps = self._manager.all_steps()
            for left in [p for p in there if p.name.isdecimal() and int(p.name) not in steps]:
                left.rmtree()
            return
        for left in [self.directory / _DISCARDED, *self.directory.glob("*.orbax-checkpoint-tmp*")]:
            for _ in range(10):  # when one array failed, others may still be on their way there
                shutil.rmtree(left, ignore_errors=True)
                if not left.exists():
                    break
                time.sleep(0.05)


def _of_optimizer(name: str) -> bool:
    return name.startswith(".opt_state")


def _empty(kind: str) -> np.ndarray:
    """Returns an array as `types_of` describes it, of keys their data."""
    dtype, shape = parsed(kind)
    if dtype.startswith("key<"):
        return np.empty((*shape, 2 if dtype == "key<fry>" else 4), np.uint32)
    return np.empty(shape, jnp.dtype(dtype))


def _place(value: np.ndarray, like: Any) -> jax.Array:
    array = unraw(np.array(value), like)
    # A leaf that is not committed to a device must stay so: jit may then move it freely.
    pinned = getattr(like, "committed", True) and getattr(like, "sharding", None)
    return jax.device_put(array, pinned) if pinned else array
