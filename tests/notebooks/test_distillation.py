"""The notebook's cells, run in order."""

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "distillation.ipynb"


@pytest.mark.slow
def test_the_notebook_teaches_a_small_network():
    import matplotlib

    matplotlib.use("Agg")
    names = {}
    for cell in json.loads(NOTEBOOK.read_text())["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []  # kept out of the repository
            exec(compile("".join(cell["source"]), NOTEBOOK.name, "exec"), names)
    accuracy = names["accuracies"]
    assert accuracy["teacher"] > 0.75
    assert accuracy["small, taught"] > accuracy["small, alone"]
    assert len(names["figure"].axes) == 16
