"""Tables of pages, filled with the figures of result files.

A template stands in results/tables.toml under the name of the table, as it stands in a page between
`<!-- table: NAME -->` and `<!-- end -->`, with {RUN: METRIC: FORMAT} in place of each figure:

RUN      a folder in results, or a file in one without ".json"; without any that of the figure
         before; with "*" several
METRIC   a name in the file's metrics, with "*" several; or "command" or "minutes", of training
FORMAT   of Python, such as .3f; .2% is times 100 and without the sign. The metric's mean is shown;
         before a format, "±" adds its 95 % interval, or of several values the standard deviation,
         "error" is 1 - mean ± interval, "range" shows the smallest and the largest of several
         values, "each" all of them, and another word is the metric's number of that name. Without
         a format: ± .2%
"""

import re
import statistics
import tomllib
from pathlib import Path
from typing import Any

from jaxdl.train import result

TABLE = re.compile(r"(<!-- table: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def pages(root: Path) -> dict[Path, str]:
    """Returns the pages that have tables, with the tables as the files in results give them.

    Raises:
      ValueError: a table is in no page or has no template, or a figure has no file or metric.
    """
    templates = tomllib.loads((root / "results" / "tables.toml").read_text())
    found, used = {}, set()

    def table(match: re.Match) -> str:
        start, name, _, end = match.groups()
        if name not in templates:
            raise ValueError(f"results/tables.toml has no table {name}")
        used.add(name)
        return start + filled(templates[name], root / "results") + end

    for path in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        text = path.read_text()
        if TABLE.search(text):
            found[path] = TABLE.sub(table, text)
    if unused := sorted(templates.keys() - used):
        raise ValueError(f"no page has the table {unused[0]}")
    return found


def filled(template: str, results: Path) -> str:
    """Returns a template with its figures."""
    run = ""

    def figure(match: re.Match) -> str:
        nonlocal run
        named, what, *form = (part.strip() for part in match[1].split(":"))
        run = named or run
        try:
            return _figure(_read(results, run), what, *form)
        except (LookupError, ValueError) as error:
            raise ValueError(f"cannot show {match[0]} of {run}: {error}") from error

    return re.sub(r"\{(.+?)\}", figure, template)


def _read(results: Path, run: str) -> list[dict[str, Any]]:
    paths = sorted(results.glob(f"{run}/result.json")) or sorted(results.glob(f"{run}.json"))
    if not paths:
        raise LookupError("there is no such file")
    return [result.read(path) for path in paths]


def _figure(found: list[dict[str, Any]], what: str, form: str = "± .2%") -> str:
    if what == "command":
        if found[0]["command"] is None:
            raise LookupError("the file has no command")
        return found[0]["command"]
    if what == "minutes":
        return f"{found[0]['seconds'] / 60:.0f}"
    metrics = [
        metric
        for each in found
        for name, metric in sorted(each["metrics"].items())
        if re.fullmatch(re.escape(what).replace(r"\*", r"\w+"), name)
    ]
    if not metrics:
        raise LookupError(f"there is no metric {what}")
    name, _, spec = form.rpartition(" ")
    means = [metric["mean"] for metric in metrics]
    mean = statistics.fmean(means) if len(means) > 1 else means[0]
    if name == "range":
        return f"{_shown(min(means), spec)} to {_shown(max(means), spec)}"
    if name == "each":
        return ", ".join(_shown(mean, spec) for mean in means)
    if name in ("±", "error"):
        spread = metrics[0]["ci95"] if len(means) == 1 else statistics.stdev(means)
        mean = 1 - mean if name == "error" else mean
        return f"{_shown(mean, spec)} ± {_shown(spread, spec)}"
    if name:
        (metric,) = metrics
        return _shown(metric[name], spec)
    return _shown(mean, spec)


def _shown(value: float, spec: str) -> str:
    return format(value, spec).removesuffix("%")
