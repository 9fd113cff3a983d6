"""Where Orbax must behave otherwise than it does: which checkpoints it keeps, what it prints."""

import logging
import sys
from collections.abc import Callable
from typing import Any


class NewestAndBest:
    """Orbax preservation policy; its own BestN would need the scores in a file of no digest."""

    def __init__(self, newest: int, best: Callable[[list[int]], int | None]):
        self._newest, self._best = newest, best

    def should_preserve(self, checkpoints, *, context) -> list[bool]:
        """Says for each checkpoint, in the order of their steps, whether it stays."""
        del context
        steps = [c.step for c in checkpoints]
        kept = {*steps[-self._newest :], self._best(steps)}
        return [s in kept for s in steps]


def quieten() -> None:
    """Keeps Orbax from printing errors that it raises as well, or of which it raises the first.

    When one of several arrays fails, Orbax closes the loop in which the others still answer: their
    errors then have nobody to go to.
    """
    logging.getLogger("absl").addFilter(_not_from_orbax)
    logging.getLogger("asyncio").addFilter(_not_of_its_arrays)
    if not isinstance(sys.unraisablehook, _NotClosedLoop):
        sys.unraisablehook = _NotClosedLoop(sys.unraisablehook)


def _not_from_orbax(record: logging.LogRecord) -> bool:
    return "orbax" not in record.pathname


def _not_of_its_arrays(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return not ("exception was never retrieved" in text and "OCDBT database" in text)


class _NotClosedLoop:
    def __init__(self, otherwise: Callable[[Any], object]):
        self._otherwise = otherwise

    def __call__(self, raised: Any) -> None:
        if str(raised.exc_value) != "Event loop is closed":
            self._otherwise(raised)
