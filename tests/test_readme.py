"""What the README and the pages of docs show works as it stands there."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {path: path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


def test_the_python_example_runs(capsys):
    # The second opens a run: tests/experiments/test_finished_runs.py.
    example, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(example, "README.md", "exec"), {})
    assert "loss" in capsys.readouterr().out


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_pages_name_things_that_exist(path):
    page = PAGES[path]
    for module in re.findall(r"python -m ((?:experiments|jaxdl)[.\w]*)", page):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    for link in re.findall(r"\]\((?!http)([^)]+)\)", page):
        assert (path.parent / link).exists(), link
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"\.\[(\w+)\]", page):
        assert extra in project["optional-dependencies"]
