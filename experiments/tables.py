"""Writes the tables of README.md and docs from the files in results, so that no figure is typed.

    python -m experiments.tables
    python -m experiments.tables --check    # only says which tables differ from the files

results/tables.toml has the tables; `jaxdl.train.tables` says how they name their figures.
"""

import dataclasses
import sys
from pathlib import Path

from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Tables of README.md and docs from the files in results."""

    check: bool = False
    """Write nothing, and fail when a table differs from the files."""
    root: Path = Path(".")
    """Folder of README.md, docs and results."""


def main(config: Config) -> None:
    """Writes the tables, or says which differ."""
    from jaxdl.train import tables

    differing = []
    for path, text in tables.pages(config.root).items():
        before = path.read_text()
        pairs = zip(tables.TABLE.finditer(before), tables.TABLE.finditer(text), strict=True)
        differing += [f"{old[2]} in {path.name}" for old, new in pairs if old[0] != new[0]]
        if not config.check and text != before:
            path.write_text(text)
    if config.check and differing:
        raise ValueError(
            f"these tables differ from the files in results: {', '.join(differing)}; "
            "python -m experiments.tables writes them"
        )
    print(f"tables: {len(differing)} {'differ' if config.check else 'written'}")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
