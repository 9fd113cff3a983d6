"""Several processes that run the same program, as on the hosts of a TPU pod: who does what.

All of them compute, each on the devices of its own; process 0 alone writes and prints. A program
of one process pays nothing for it. Nothing here starts JAX or imports it before it is needed.
"""

import atexit
import os
import subprocess
import sys
from typing import Any

# Speaks when its input ends without a line, which a program that is aborted or killed cannot write.
_MOURNERS: list[subprocess.Popen] = []
_MOURNER = """trap '' INT TERM; read -r line || echo "process $0 ended because another process \
of this run had died, or was killed itself; to go on from the last checkpoint, start all of them \
again with the same commands" >&2"""


def join(
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
    *,
    peer_timeout: int = 100,
) -> None:
    """Makes this process one of several, before anything else of JAX; silences all but the first.

    Args:
      coordinator: `host:port` of process 0; None on TPU pods and Slurm, which say it themselves.
      processes: how many there are; None as above.
      process: which one this is, from 0; None as above.
      peer_timeout: seconds after which a process ends when another has died without a word.

    Raises:
      ValueError: nothing says who the others are.
    """
    import jax

    try:
        jax.distributed.initialize(
            coordinator, processes, process, heartbeat_timeout_seconds=peer_timeout
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            "--distributed does not find the other processes; outside TPU pods and Slurm give "
            f"--coordinator HOST:PORT, --processes and --process ({error})"
        ) from error
    # JAX aborts processes whose peers have died, with a stack trace that says little to a person.
    mourner = subprocess.Popen(
        ["sh", "-c", _MOURNER, str(jax.process_index())],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    _MOURNERS.append(mourner)
    atexit.register(mourner.communicate, b"alive\n")
    # CPUs give processes 30 seconds for their first meeting by a mesh, and one may compile longer
    # than another before it: they meet now.
    agree(0)
    Flag().seen(0, now=True)
    if not is_main():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, it stays open


def abandon(code: int) -> int:
    """Ends one of several processes at once, so that the others miss it; alone, returns the code.

    An exit in order would wait, for five minutes, for others that may wait for this one.

    Args:
      code: the exit code.
    """
    if count() == 1:
        return code
    for mourner in _MOURNERS:
        mourner.communicate(b"alive\n")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def count() -> int:
    """Returns how many processes there are."""
    return sys.modules["jax"].process_count() if "jax" in sys.modules else 1


def index() -> int:
    """Returns which of them this process is, from 0."""
    return sys.modules["jax"].process_index() if "jax" in sys.modules else 0


def is_main() -> bool:
    """Says whether this is the process that writes and prints."""
    return index() == 0


def agree(value: Any) -> Any:
    """Returns what process 0 gave, in all; they wait for one another.

    Args:
      value: pytree of numbers and NumPy arrays, of the same shapes in all.
    """
    if count() == 1:
        return value
    from jax.experimental import multihost_utils

    return multihost_utils.broadcast_one_to_all(value)


def send(state: Any) -> Any:
    """Returns the state of process 0 in all: pytree of arrays and typed keys."""
    if count() == 1:
        return state
    import jax
    import numpy as np

    from jaxdl.train.state import raw, unraw

    sent = agree(jax.tree.map(lambda leaf: np.asarray(raw(leaf)), state))
    return jax.tree.map(unraw, sent, state)


class Flag:
    """A number that any process may raise and all see at the same step, one step later.

    The largest of all processes' numbers is computed on the devices behind the steps, so that
    nobody waits for a step that is still running.
    """

    def __init__(self) -> None:
        self._pending: Any = None
        if count() == 1:
            return
        import jax
        import numpy as np
        from jax.sharding import NamedSharding, PartitionSpec

        mesh = jax.make_mesh((jax.device_count(),), ("all",))
        shared = NamedSharding(mesh, PartitionSpec("all"))
        largest = jax.jit(lambda x: x.max(), out_shardings=NamedSharding(mesh, PartitionSpec()))

        def start(number):
            own = np.full(jax.local_device_count(), number, np.int32)
            return largest(jax.make_array_from_process_local_data(shared, own))

        self._start = start

    def seen(self, number: int, *, now: bool = False) -> int:
        """Returns the largest number that any process gave.

        Args:
          number: of this process, at least 0.
          now: wait for what the others say in this call; else it is of the call before, and 0 in
            the first.
        """
        if count() == 1:
            return number
        before, self._pending = self._pending, self._start(number)
        if now:
            return int(self._pending)
        return 0 if before is None else int(before)
