"""What every training method promises; a new method is found by walking `jaxdl.methods`."""

import dataclasses
import importlib
import inspect
import pkgutil

import pytest

import jaxdl.methods

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(jaxdl.methods.__path__, "jaxdl.methods.")
    if not found.ispkg
]
# The others hold what the methods of a family share.
METHODS = [module for module in MODULES if hasattr(module, "Config")]


@pytest.mark.parametrize("module", METHODS, ids=lambda module: module.__name__)
def test_contract(module):
    assert dataclasses.is_dataclass(module.Config)
    assert module.Config.__dataclass_params__.frozen
    parameters = inspect.signature(module.make).parameters
    assert list(parameters) == ["config", "network", "optimizer", "axis_name"]
    assert all(
        parameters[name].kind is inspect.Parameter.KEYWORD_ONLY and parameters[name].default is None
        for name in ("network", "optimizer", "axis_name")
    )
    method = module.make(module.Config())
    assert method._fields == ("init", "train_step", "eval_step")
    classes = [kind for kind in module.Config.__mro__ if dataclasses.is_dataclass(kind)]
    source = "".join(inspect.getsource(kind) for kind in classes)
    for field in dataclasses.fields(module.Config):  # each has its help below it
        assert f"    {field.name}: " in source
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""')
