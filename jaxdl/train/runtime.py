"""How JAX starts in an experiment: one CPU device for each core, compiled programs kept on disk.

Only environment variables, so that nothing heavy is imported: they are read when JAX is. What the
user has set stays; and a program that imports a step and starts JAX itself is left alone.
"""

import os
from collections.abc import MutableMapping

from jaxdl.cache import cache_dir


def configure(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets how JAX will start, where the environment does not say already.

    One device for each core that this process may use lets every core work on a task of its own,
    in its own cache; it concerns CPUs alone. Compiled programs are kept in the cache folder.

    Args:
      environment: of this process.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    for name, value in (
        ("JAX_NUM_CPU_DEVICES", str(cores)),
        ("JAX_COMPILATION_CACHE_DIR", str(cache_dir() / "programs")),
        ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0"),
    ):
        environment.setdefault(name, value)
