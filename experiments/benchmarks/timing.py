"""Timing side by side: what is compared runs in turn, so that a busy machine slows all of it."""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import tqdm

T = TypeVar("T")


def warm(contenders: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Runs every contender once, which compiles it, and returns what it gave."""
    return {name: run() for name, run in contenders.items()}


def race(
    contenders: Mapping[str, Callable[[], object]], rounds: int, title: str = ""
) -> dict[str, list[float]]:
    """Runs every contender, which is warm, once in each round.

    Args:
      contenders: what to run, by name; returns when the work is done.
      rounds: 1 or more.
      title: of the progress bar.

    Returns:
      The seconds of each round by name.
    """
    seconds = {name: [] for name in contenders}
    for _ in tqdm.trange(rounds, desc=title, leave=False, disable=None):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def spread(values: list[float]) -> dict[str, float]:
    """Returns median, smallest and largest."""
    return {
        "median": float(np.median(values)),
        "min": float(np.min(values)),
        "max": float(np.max(values)),
    }


def times_faster(seconds: Mapping[str, list[float]], name: str, other: str) -> dict[str, float]:
    """Returns the spread, over the rounds, of how many times faster `name` was than `other`."""
    return spread([b / a for a, b in zip(seconds[name], seconds[other], strict=True)])
