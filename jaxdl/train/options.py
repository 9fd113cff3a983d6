"""Options of an experiment: frozen dataclasses within one another, flat for people and in files.

The config of an experiment holds those of its problem and its method, each declared once, where it
is used. On the command line and in config.json an option is known by its own name alone. Imports
nothing heavy, so that `--help` is quick.
"""

import dataclasses
import math
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import tyro

C = TypeVar("C")

if typing.TYPE_CHECKING:
    Fact = typing.Annotated[C, "decided by the problem"]
else:
    Fact = tyro.conf.Suppress
"""Marks a field that the problem decides, such as the number of classes: no option of its own."""

Schedule = Literal["cosine", "linear", "constant"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Processes:
    """Options of an experiment that several processes can run together; see `processes.join`."""

    distributed: bool = False
    """Be one of several processes, which TPU pods and Slurm say by themselves."""
    coordinator: str | None = None
    """host:port of process 0, where neither a TPU pod nor Slurm says it."""
    processes: int | None = None
    """How many processes there are, where neither a TPU pod nor Slurm says it."""
    process: int | None = None
    """Which process this is, from 0, where neither a TPU pod nor Slurm says it."""
    peer_timeout: int = 100
    """Seconds after which a process ends when another has died."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run(Processes):
    """Options of every experiment that trains."""

    workdir: Path | None = None
    """Where the results go and a stopped run goes on; by default a folder of runs/ that is named by
    the experiment, the data set and what was switched."""
    seed: int = 0
    """Of the parameters and of all that is drawn in training."""


# Say where a run is and how it is used, not what it is.
_OF_THE_USE = {
    *("preset", "data_dir", "workdir"),
    *(field.name for field in dataclasses.fields(Processes)),
}


class Pace(NamedTuple):
    """How long a training goes on, and what happens on the way."""

    steps: int
    """Of the whole training."""
    eval_every: int
    """Steps between evaluations, each followed by a checkpoint."""
    log_every: int
    """Steps between rows of metrics.jsonl."""
    at_most: int = 0
    """Steps of one compiled call, at most; 0 for no limit."""

    @property
    def per_call(self) -> int:
        """Steps of one compiled call: as many as divide all of these."""
        return math.gcd(*self)


def epoch(examples: int, batch: int, call: int = 10) -> int:
    """Returns the steps, a multiple of `call`, that draw as many examples as there are, about."""
    return max(round(examples / batch / call), 1) * call


def flat(config: Any) -> dict[str, Any]:
    """Returns all options by name, of whatever dataclass within the config; facts are left out.

    Raises:
      TypeError: two options have the same name.
    """
    found: dict[str, Any] = {}
    for name, value in _leaves(config):
        if name in found:
            raise TypeError(f"two options of {type(config).__name__} are called {name}")
        found[name] = value
    return found


def changed(config: C, values: Mapping[str, Any]) -> C:
    """Returns a config with other values of its options, each known by its own name.

    Args:
      config: dataclass.
      values: by name; lists, as JSON has them, become tuples.

    Raises:
      ValueError: there is no such option.
    """
    if unknown := sorted(values.keys() - flat(config).keys()):
        raise ValueError(f"there are options that are unknown here: {', '.join(unknown)}")
    new: dict[str, Any] = {}
    for field in _options(config):
        now: Any = getattr(config, field.name)
        if dataclasses.is_dataclass(now):
            inner = {name: values[name] for name in flat(now).keys() & values.keys()}
            new[field.name] = changed(now, inner)
        elif field.name in values:
            value = values[field.name]
            new[field.name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(config, **new)  # type: ignore[type-var]


def told(config: C, facts: Mapping[str, Any]) -> C:
    """Returns a config with those facts that it has fields for."""
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    return dataclasses.replace(config, **{n: facts[n] for n in facts.keys() & names})  # type: ignore[type-var]


def of_the_run(config: Any, *others: str) -> dict[str, Any]:
    """Returns the options that define a run, as a flat JSON object.

    Args:
      config: all options.
      *others: names of options, besides those that every experiment has, that only say how the run
        is used: they may change when it is resumed.
    """
    left_out = {*_OF_THE_USE, *others}
    return {name: value for name, value in flat(config).items() if name not in left_out}


def require_positive(config: Any, *names: str) -> None:
    """Raises ValueError when one of these options is 0, negative or not a number."""
    values = flat(config)
    for name in names:
        if not values[name] > 0:
            raise ValueError(f"--{name.replace('_', '-')} must be positive, got {values[name]}")


def switches(config: Any, *others: str) -> list[str]:
    """Returns the names of the switches that define a run and are not as they are by default."""
    defaults = flat(type(config)())
    return [
        name if value else f"no_{name}"
        for name, value in of_the_run(config, *others).items()
        if isinstance(value, bool) and value != defaults[name]
    ]


def folder_of(part: str) -> str:
    """Returns the name of the folder of a part of a run: `_` for spaces, and no commas."""
    return part.replace(",", "").replace(" ", "_")


def _options(config: Any) -> list[dataclasses.Field]:
    hints = typing.get_type_hints(type(config), include_extras=True)
    marker = typing.get_args(Fact[int])[1:]
    return [
        field
        for field in dataclasses.fields(config)
        if not set(marker) & set(getattr(hints[field.name], "__metadata__", ()))
    ]


def _leaves(config: Any) -> Iterator[tuple[str, Any]]:
    for field in _options(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value)
        else:
            yield field.name, value
