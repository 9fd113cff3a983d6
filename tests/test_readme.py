"""What the README shows works as it stands there."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_the_python_example_runs(capsys):
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert examples
    for example in examples:
        exec(compile(example, "README.md", "exec"), {})
    assert "loss" in capsys.readouterr().out


def test_the_commands_name_things_that_exist():
    for module in re.findall(r"python -m ((?:experiments|jaxdl)[.\w]*)", README):
        assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"\.\[(\w+)\]", README):
        assert extra in project["optional-dependencies"]
