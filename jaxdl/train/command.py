"""The command line of every experiment: its options, its error messages and its exit codes.

Imports nothing heavy, so that `--help` is quick: an experiment's `main` imports JAX.

    0    done
    2    a mistake in the options, the data or the files: one sentence on standard error
    134  another process of the run has died, after --peer-timeout seconds at most (SIGABRT)
    130  Ctrl-C, 143 SIGTERM: saved, and the sentence says how to go on
    1    a bug: a traceback

An error counts as the user's when it is an OSError, or a ValueError raised by this library or the
experiment itself; a ValueError out of JAX or NumPy is a bug of ours. JAXDL_DEBUG=1 in the
environment shows the traceback of every error.
"""

import dataclasses
import os
import shlex
import signal
import sys
import traceback
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import tyro

from jaxdl.train import options, processes, runtime

C = TypeVar("C")
_FLAT = (tyro.conf.OmitArgPrefixes,)


def parse(
    config: type[C],
    presets: Mapping[str, C] | None = None,
    argv: Sequence[str] | None = None,
    *,
    stored: Callable[[C], Mapping[str, Any] | None] | None = None,
) -> C:
    """Reads the command line into a config.

    An option given on the command line always wins; then comes the stored config, then the
    preset, then the default of the field. An option that a stored config lacks, because it was
    made before there was one, has the default of the field.

    Args:
      config: frozen, keyword-only dataclass, every field with a default; the string below a field
        is its help. Fields that are dataclasses themselves are groups of options, known by their
        own names alone.
      presets: other defaults by the value of the field `preset`, which then must exist.
      argv: the arguments; those of this process when None.
      stored: from the config read so far, the options of an earlier run to take as defaults
        (for `--eval-only`), or None.

    Raises:
      SystemExit: 0 after `--help`, 2 after a bad option, with the message printed.
      ValueError: the stored config has an option that there is none of here.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    default = config()
    if presets is not None:
        name = _preset(config, argv)
        default = dataclasses.replace(presets[name], preset=name)  # type: ignore[type-var]
    chosen = _cli(config, default, argv)
    earlier = stored(chosen) if stored else None
    if earlier is None:
        return chosen
    return _cli(config, options.changed(config(), earlier), argv)


def run(
    main: Callable[[C], Any],
    config: type[C],
    presets: Mapping[str, C] | None = None,
    argv: Sequence[str] | None = None,
    *,
    stored: Callable[[C], Mapping[str, Any] | None] | None = None,
) -> int:
    """Runs an experiment as a command: `sys.exit(command.run(main, Config, PRESETS))`.

    Args:
      main: the experiment.
      config: see `parse`.
      presets: see `parse`.
      argv: see `parse`.
      stored: see `parse`.

    Returns:
      The exit code.
    """
    runtime.configure()
    try:
        chosen = parse(config, presets, argv, stored=stored)
        if isinstance(chosen, options.Processes) and chosen.distributed:
            processes.join(
                chosen.coordinator,
                chosen.processes,
                chosen.process,
                peer_timeout=chosen.peer_timeout,
            )
        main(chosen)
    except KeyboardInterrupt as stop:
        again = shlex.join(sys.orig_argv)
        said = str(stop) or "stopped at once; steps since the last checkpoint are lost"
        print(f"{said}; to go on, type the same command: {again}", file=sys.stderr)
        if not hasattr(stop, "signum"):  # else all processes have saved, and end in order
            return processes.abandon(128 + signal.SIGINT)
        return 128 + stop.signum
    except Exception as error:
        code, sentence = _explained(error, main.__module__)
        if sentence and os.environ.get("JAXDL_DEBUG") != "1":
            print(sentence, file=sys.stderr)
        elif processes.count() == 1:
            raise
        else:
            traceback.print_exc()
        return processes.abandon(code)
    return 0


def _cli(config: type[C], default: C, argv: list[str]) -> C:
    spec = sys.modules["__main__"].__spec__
    prog = f"python -m {spec.name}" if spec else None
    return tyro.cli(config, default=default, args=argv, prog=prog, config=_FLAT)


def _preset(config: type, argv: list[str]) -> str:
    """Reads the option `preset` alone: the defaults of the others depend on it."""
    kind = typing.get_type_hints(config)["preset"]
    only = dataclasses.make_dataclass("Preset", [("preset", kind, config().preset)])
    rest = [a for a in argv if a not in ("-h", "--help")]  # the help of the preset's own defaults
    return tyro.cli(only, args=rest, return_unknown_args=True)[0].preset


def _explained(error: Exception, experiment: str) -> tuple[int, str | None]:
    """Returns the exit code and what to say of an error; None of a bug, which needs a traceback."""
    if isinstance(error, ValueError | OSError) and _is_users(error, experiment):
        return 2, f"error: {_sentence(error)}"
    if isinstance(error, RuntimeError) and processes.count() > 1:  # of JAX
        return 1, (
            f"process {processes.index()} ended because it cannot reach the other processes of "
            f"this run: {_sentence(error)}"
        )
    return 1, None


def _is_users(error: Exception, experiment: str) -> bool:
    if isinstance(error, OSError):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    ours = {"jaxdl", "experiments", experiment.partition(".")[0]}
    return frame.f_globals["__name__"].partition(".")[0] in ours


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return " ".join(str(error).split())
