"""What every method promises; a new one is found by walking `jaxdl.methods`.

A method says of itself, in `EXCEPTIONS`, which of these it cannot keep, and why.
"""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import jax_utils

import experiments
import jaxdl.methods
from jaxdl.train import command, options
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest
from jaxdl.train.step import compile_step, data_mesh, pmap_step

MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(jaxdl.methods.__path__, "jaxdl.methods.")
    if not found.ispkg
]
# The others hold what the methods of a family share.
METHODS = [module for module in MODULES if hasattr(module, "make")]
DEVICES = 8
TOLERANCE = 2e-5
RATE_ONE = optax.sgd(1.0)

every_method = pytest.mark.parametrize(
    "module", METHODS, ids=lambda module: module.__name__.removeprefix("jaxdl.methods.")
)


def made(module, optimizer=None, axis_name=None):
    config, network, batch = module.example(axis_name)
    return module.make(config, network=network, optimizer=optimizer, axis_name=axis_name), batch


@functools.cache
def trained(module):
    """A method, a batch, a compiled step, its states after 0 ... 3 steps and their metrics."""
    method, batch = made(module)
    step = jax.jit(method.train_step)
    states, metrics = [jax.jit(method.init)(jax.random.key(0), batch)], []
    for _ in range(3):
        state, found = step(states[-1], batch)
        states.append(state)
        metrics.append(found)
    return types.SimpleNamespace(
        method=method, batch=batch, step=step, states=states, metrics=metrics
    )


@functools.cache
def plain(module):
    """A method with SGD, a batch, how its state starts, and what one compiled step makes of it.

    Not with Adam, which would hide a gradient that is 8 times too large, and makes much of the last
    digit of one that is nearly 0.
    """
    method, batch = made(module, RATE_ONE)
    init = jax.jit(method.init)

    def start():
        return init(jax.random.key(0), batch)

    return method, batch, start, numbers(*jax.jit(method.train_step)(start(), batch))


def judged(module):
    """The examples that are predicted and evaluated, where they are not those of the training."""
    batch = trained(module).batch
    return module.judged(batch) if hasattr(module, "judged") else batch


def unless_excepted(module, promise):
    if promise in getattr(module, "EXCEPTIONS", {}):
        pytest.skip(module.EXCEPTIONS[promise])


@every_method
def test_signatures(module):
    assert dataclasses.is_dataclass(module.Config)
    assert module.Config.__dataclass_params__.frozen
    parameters = inspect.signature(module.make).parameters
    assert list(parameters) == ["config", "network", "optimizer", "axis_name"]
    assert all(
        parameters[name].kind is inspect.Parameter.KEYWORD_ONLY and parameters[name].default is None
        for name in ("network", "optimizer", "axis_name")
    )
    module.make(module.Config())
    classes = [kind for kind in module.Config.__mro__ if dataclasses.is_dataclass(kind)]
    source = "".join(inspect.getsource(kind) for kind in classes)
    for field in dataclasses.fields(module.Config):  # each has its help below it
        assert f"    {field.name}: " in source
        after = source.split(f"    {field.name}: ", 1)[1].split("\n", 1)[1]
        assert after.lstrip().startswith('"""')


def test_configs_import_no_jax():
    modules = sorted({module.Config.__module__ for module in METHODS})
    code = f"import sys, {', '.join(modules)}; print({{'jax', 'numpy'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@functools.cache
def reachable():
    """The options of all experiments by the configs that they nest."""
    found = {}

    def walk(config, names):
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if dataclasses.is_dataclass(value):
                found.setdefault(type(value), set()).update(names)
                walk(value, names)

    for each in pkgutil.iter_modules(experiments.__path__):
        module = importlib.import_module(f"experiments.{each.name}")
        if hasattr(module, "Config"):
            config = command.parse(module.Config, getattr(module, "PRESETS", None), [])
            walk(config, options.flat(config).keys())
    return found


@every_method
def test_every_setting_is_an_option_of_some_experiment(module):
    names = set().union(*(n for kind, n in reachable().items() if issubclass(kind, module.Config)))
    # The others are facts, which the problem decides.
    assert options.flat(module.Config()).keys() <= names
    facts = {field.name for field in dataclasses.fields(module.Config)} - names
    assert facts <= {"way", "train_way", "classes", "rotated", "size", "channels"}


@every_method
def test_the_loss_falls_and_metrics_are_finite_scalars(module):
    kept = trained(module)
    for value in kept.metrics[-1].values():
        assert value.shape == ()
        assert jnp.isfinite(value)
    unless_excepted(module, "the loss falls")
    state = kept.states[-1]
    for _ in range(60):
        state, metrics = kept.step(state, kept.batch)
    assert metrics["loss"] < kept.metrics[0]["loss"]


@every_method
def test_a_restored_state_goes_on_as_the_saved_one(module, tmp_path):
    kept = trained(module)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(kept.states[1], metadata={})
        restored, _ = checkpoints.restore(kept.states[0])
        alone, _ = checkpoints.restore(kept.states[0]._replace(opt_state=None))
    assert digest(kept.step(restored, kept.batch)[0]) == digest(kept.states[2])
    assert digest((alone.params, alone.extra)) == digest((restored.params, restored.extra))


@every_method
def test_steps_of_one_call_are_as_many_calls(module):
    method, batch, start, _ = plain(module)
    step = jax.jit(method.train_step)
    state, metrics = start(), []
    for _ in range(3):
        state, found = step(state, batch)
        metrics.append(found)
    assert step._cache_size() == 1
    call = compile_step(method.train_step, sample=lambda key, data: data, steps_per_call=3)
    at_once, found = call(start(), batch)
    assert_close((at_once.params, at_once.extra), (state.params, state.extra))
    for name, values in found.items():
        expected = [each[name] for each in metrics]
        np.testing.assert_allclose(values, expected, rtol=2e-4, atol=TOLERANCE)


@every_method
def test_compiled_is_as_eager(module):
    unless_excepted(module, "eager")
    method, batch, start, (params, _, extra, metrics) = plain(module)
    state, found = method.train_step(start(), batch)
    assert_close((state.params, state.extra, found), (params, extra, metrics))


@every_method
def test_no_prediction_depends_on_another_example(module):
    kept = trained(module)
    state = kept.states[-1]
    predict, batch = jax.jit(kept.method.predict), judged(module)
    whole = predict(state, batch)
    size = len(jax.tree.leaves(batch)[0])
    assert whole
    assert all(len(leaf) == size for leaf in jax.tree.leaves(whole))
    turned = predict(state, jax.tree.map(lambda leaf: leaf[::-1], batch))
    assert_close(jax.tree.map(lambda leaf: leaf[::-1], turned), whole)
    some = predict(state, jax.tree.map(lambda leaf: leaf[:3], batch))
    assert_close(some, jax.tree.map(lambda leaf: leaf[:3], whole))


@every_method
def test_no_prediction_depends_on_the_answers(module):
    unless_excepted(module, "answers")
    kept, batch = trained(module), judged(module)

    def other(path, leaf):
        answers = ("query", "label") if ".fewshot." in module.__name__ else ("label",)
        names = tuple(key.key for key in path)
        asked = names == answers or names[-1] in ("weight", "teacher_logits")
        return leaf + 1 if asked or names == ("query", "y") else leaf

    predict = jax.jit(kept.method.predict)
    changed = jax.tree_util.tree_map_with_path(other, batch)
    assert digest(changed) != digest(batch)
    found, again = (predict(kept.states[-1], each) for each in (batch, changed))
    jax.tree.map(np.testing.assert_array_equal, again, found)


@every_method
def test_an_accuracy_is_that_of_the_predictions(module):
    kept, batch = trained(module), judged(module)
    measured = jax.jit(kept.method.eval_step)(kept.states[-1], batch)
    found = jax.jit(kept.method.predict)(kept.states[-1], batch)
    if "query" in batch and "label" in batch["query"]:
        said, label = (found["inductive"].argmax(-1), batch["query"]["label"])
        accuracy = measured["accuracy/inductive"]
    elif "logits" in found or "log_probability" in found:
        logits = found["logits"] if "logits" in found else found["log_probability"]
        said, label, accuracy = logits.argmax(-1), batch["label"], measured["accuracy"]
    elif "logits/0" in found:
        said, label = found["logits/0"].argmax(-1), batch["label"][:, 0]
        accuracy = measured["accuracy/0"]
    else:
        pytest.skip("it tells no classes apart")
    np.testing.assert_allclose(accuracy.mean, (said == label).mean(), rtol=1e-5)


@every_method
def test_padding_changes_no_measure(module):
    kept = trained(module)
    evaluate, whole = jax.jit(kept.method.eval_step), judged(module)

    def padded(filler):
        rest = jax.tree.map(lambda leaf: jnp.full_like(leaf[5:], filler), whole)
        batch = jax.tree.map(lambda a, b: jnp.concatenate([a[:5], b]), whole, rest)
        return batch | {"weight": (jnp.arange(len(whole["weight"])) < 5).astype(jnp.float32)}

    found, other = (evaluate(kept.states[-1], padded(filler)) for filler in (0, 1))
    assert found
    for name, moments in found.items():
        assert moments.count == 5
        assert moments.mean.shape == ()
        assert jnp.isfinite(moments.mean)
        assert_close(moments, other[name])


@every_method
def test_one_device_equals_eight_and_pmap(module):
    unless_excepted(module, "devices")
    method, batch, start, one = plain(module)
    mapped, _ = made(module, RATE_ONE, "data")
    moves = jax.tree.map(lambda before, after: np.abs(after - before).max(), start().params, one[0])
    assert max(jax.tree.leaves(moves)) > 100 * TOLERANCE  # so that a wrong factor is seen
    eight = numbers(*compile_step(method.train_step, mesh=data_mesh(DEVICES))(start(), batch))
    assert_close(eight, one)
    copies = numbers(*pmap_step(mapped.train_step)(jax_utils.replicate(start()), batch))
    assert_close(copies, one)


def numbers(state, metrics):
    return jax.device_get((state.params, state.opt_state, state.extra, metrics))


def assert_close(found, expected):
    """Of what `pmap` found, every device's copy."""

    def compare(a, b):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            return
        np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=2e-4, atol=TOLERANCE)

    jax.tree.map(compare, found, expected)
