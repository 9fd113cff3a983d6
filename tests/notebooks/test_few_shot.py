"""The notebook's cells, run in order."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "few_shot.ipynb"


@pytest.mark.slow
def test_the_notebook_learns_new_classes():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # kept out of the repository
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    for name, accuracy in names["accuracies"].items():
        assert accuracy > 0.7, name  # chance is 0.2
    before, after = ((p == names["episode"]["query"]["label"]).mean() for p in names["predicted"])
    assert before < 0.5 < after
    assert len(names["figure"].axes) == 5 * (1 + 5 + 5)
