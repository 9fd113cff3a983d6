"""The one schema of result.json: the final numbers of a run, with all that is needed to get them.

experiment      the module that was run
dataset         on which the metrics were measured
protocol        JSON object: how they were measured
metrics         {"accuracy": {"mean", "ci95", "count", further numbers by name}}; no nesting: parts
                of a name are joined by "/", as in "teacher/accuracy" or "recall/3"
seed, steps     of the run; steps were taken in training
seconds         of training, over all resumptions
params_sha256   `jaxdl.train.digest.digest` of the parameters measured
device          the kind of device that measured
versions        of Python and the packages
command         shell text of how it was run
commit          of the code in git, with "+" when tracked files had uncommitted changes
config          flat JSON object: the options of the run

All are always there. What is not known is null, or {} where an object belongs. `read` also takes
what was written before there was this schema.
"""

import contextlib
import json
import math
import numbers
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jaxdl.ops.metrics import Moments
from jaxdl.train import result_older
from jaxdl.train.report import Report
from jaxdl.train.storage import folder

Metric = dict[str, Any]  # "mean" float, "ci95" float or None, "count" int or None, more numbers

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "jaxdl")
_OPTIONAL_NUMBER = (int, float, type(None))
_FIELDS: dict[str, type | tuple[type, ...]] = {
    "experiment": str,
    "dataset": (str, type(None)),
    "protocol": dict,
    "metrics": dict,
    "seed": (int, type(None)),
    "steps": (int, type(None)),
    "seconds": _OPTIONAL_NUMBER,
    "params_sha256": (str, type(None)),
    "device": (str, type(None)),
    "versions": dict,
    "command": (str, type(None)),
    "commit": (str, type(None)),
    "config": dict,
}


def metric(mean: Any, ci95: Any = None, count: Any = None, **more: Any) -> Metric:
    """Returns one measured number as it stands in `metrics`.

    Args:
      mean: of the examples, episodes or folds; or the one number that was measured.
      ci95: half width of the mean's 95 % interval, in the same unit.
      count: how many values the mean is of.
      **more: further numbers, such as `low`, `high`, `floor`, `mistakes` or `threshold`.

    Raises:
      ValueError: a value is not one finite number.
    """
    return {
        "mean": _number("mean", mean),
        "ci95": None if ci95 is None else _number("ci95", ci95),
        "count": None if count is None else int(_number("count", count)),
    } | {name: _number(name, value) for name, value in more.items()}


def of_moments(moments: Moments) -> Metric:
    """Returns the mean, the interval and the number of values of scalar moments.

    Raises:
      ValueError: they are of more than one mean, or not finite.
    """
    return metric(moments.mean, moments.ci95, moments.count)


def flat(nested: Mapping[str, Any]) -> dict[str, Metric]:
    """Joins the names of nested metrics by "/": `{"teacher": {"accuracy": metric}}`."""
    found = {}
    for name, value in nested.items():
        if isinstance(value, Moments):
            found[name] = of_moments(value)
        elif "mean" in value and not isinstance(value["mean"], Mapping):
            found[name] = dict(value)
        else:
            found |= {f"{name}/{inner}": metric for inner, metric in flat(value).items()}
    return found


def percent(metric: Metric, digits: int = 2) -> str:
    """Returns a share as "98.24 ± 0.18", or as "98.24" when it has no interval."""
    mean = f"{100 * metric['mean']:.{digits}f}"
    return mean if metric["ci95"] is None else f"{mean} ± {100 * metric['ci95']:.{digits}f}"


def write(
    report: Report,
    *,
    name: str = "result.json",
    experiment: str,
    dataset: str,
    protocol: Mapping[str, Any],
    metrics: Mapping[str, Any],
    seed: int,
    steps: int,
    params_sha256: str | None,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes the final numbers together with what is needed to get them again.

    Args:
      report: the folder of the run.
      name: of the file.
      experiment: the module that was run.
      dataset: on which the metrics were measured.
      protocol: JSON object: how they were measured.
      metrics: each a `metric` or scalar moments; nested ones as `flat` takes them.
      seed: of the run.
      steps: taken in training.
      params_sha256: `jaxdl.train.digest.digest` of the parameters measured; None without any.
      config: the options of the run, of JSON's types.

    Returns:
      What was written; the seconds of training, the device, the versions, the command and the
      commit are added.

    Raises:
      ValueError: what would be written is not of the schema.
    """
    import jax

    result = {
        "experiment": experiment,
        "dataset": dataset,
        "protocol": dict(protocol),
        "metrics": flat(metrics),
        "seed": seed,
        "steps": steps,
        "seconds": report.seconds(),
        "params_sha256": params_sha256,
        "device": jax.devices()[0].device_kind,
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in _PACKAGES},
        "command": _command(),
        "commit": _commit(Path(__file__)),
        "config": dict(config),
    }
    result = json.loads(json.dumps(result, allow_nan=False))  # what `read` will return
    check(result)
    report.write_json(name, result)
    return result


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Reads a result in this schema, whatever schema the file has.

    Args:
      path: of the file; the options of older runs come from config.json beside it.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no result of an experiment.
    """
    file = folder(path)
    try:
        found = json.loads(file.read_text())
        if not isinstance(found, dict):
            raise ValueError("expected a JSON object")
        if not found.keys() >= _FIELDS.keys():
            found = result_older.converted(found, _config_beside(file))
        check(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no result of an experiment: {error}") from error
    return found


def check(result: Mapping[str, Any]) -> None:
    """Sees that a JSON object is of this schema.

    Raises:
      ValueError: it is not, and says where.
    """
    if result.keys() != _FIELDS.keys():
        raise ValueError(f"expected the fields {', '.join(_FIELDS)}, got {', '.join(result)}")
    for name, kinds in _FIELDS.items():
        if not isinstance(result[name], kinds) or isinstance(result[name], bool):
            raise ValueError(f"{name} cannot be {result[name]!r}")
    for name, value in result["metrics"].items():
        if not isinstance(value, dict) or not value.keys() >= {"mean", "ci95", "count"}:
            raise ValueError(f"{name} needs mean, ci95 and count, got {value!r}")
        if value != metric(**value):
            raise ValueError(f"{name} has a count that is no whole number: {value['count']}")


def _number(name: str, value: Any) -> float | int:
    with contextlib.suppress(ValueError, TypeError):  # of an array of several
        value = value.item() if hasattr(value, "item") else value
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value):
        return int(value) if isinstance(value, numbers.Integral) else float(value)
    raise ValueError(f"{name} must be one finite number, got {value}")


def _config_beside(file: Any) -> dict[str, Any]:
    beside = file.with_name("config.json")
    return json.loads(beside.read_text()) if beside.exists() else {}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # run from a clone that is not installed
        return None


def _command() -> str | None:
    if sys.argv[0] in ("", "-c"):  # typed in line by line, or another program's text
        return None
    return shlex.join(["python", *sys.orig_argv[1:]])


def _commit(file: Path) -> str | None:
    """Returns the commit of a file of the code, None when git does not know the file."""
    try:
        _git(file, "ls-files", "--error-unmatch", file.name)
        changed = _git(file, "status", "--porcelain", "--untracked-files=no")
        return _git(file, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(file: Path, *arguments: str) -> str:
    command = ["git", "-C", str(file.parent), *arguments]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=30
    ).stdout.strip()
