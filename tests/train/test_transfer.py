"""The notes' three ways to use what was learned: only a new head, features once, or slower."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.distill import distill
from jaxdl.methods.supervised import classifier
from jaxdl.nn.classify import CNN, MLP
from jaxdl.train import transfer

IMAGES = jax.random.uniform(jax.random.key(0), (8, 8, 8, 1))
BATCH = {"image": IMAGES, "label": jnp.arange(8) % 2}
OLD = CNN(((4,), (4,)), (6,), 5, batch_norm=True)
NEW = CNN(((4,), (4,)), (6,), 2, batch_norm=True)


def variables(network, seed):
    made = network.init(jax.random.key(seed), IMAGES)
    # Statistics that are not those of the start
    _, seen = network.apply(made, 3 * IMAGES, train=True, mutable=["batch_stats"])
    return {"params": made["params"], "batch_stats": seen["batch_stats"]}


def test_loads_by_pattern_and_says_what_it_did():
    old, new = variables(OLD, 0), variables(NEW, 1)
    taken, report = transfer.load(new, old)
    assert report.mismatched == ("params/Dense_1/bias", "params/Dense_1/kernel")
    assert report.missing == ()
    assert "2 mismatched: params/Dense_1/bias, params/Dense_1/kernel" in str(report)
    np.testing.assert_array_equal(
        taken["params"]["Conv_1"]["kernel"], old["params"]["Conv_1"]["kernel"]
    )
    np.testing.assert_array_equal(
        taken["params"]["Dense_1"]["kernel"], new["params"]["Dense_1"]["kernel"]
    )
    taken, report = transfer.load(new, old, "params/Conv_*")
    assert report.loaded == ("params/Conv_0/kernel", "params/Conv_1/kernel")
    np.testing.assert_array_equal(
        taken["batch_stats"]["BatchNorm_0"]["mean"], new["batch_stats"]["BatchNorm_0"]["mean"]
    )
    _, report = transfer.load(new, {"params": {}}, "params/Conv_0/*")
    assert report.missing == ("params/Conv_0/kernel",)
    with pytest.raises(ValueError, match=r"no leaf matches 'Conv'; there are batch_stats/Batch"):
        transfer.load(new, old, "Conv")


def test_a_frozen_part_stays_bit_for_bit_with_its_statistics():
    """Mode 1: all but the head frozen, with weight decay and momentum in the optimizer."""
    taken, _ = transfer.load(variables(NEW, 1), variables(OLD, 0))
    frozen = transfer.FrozenStatistics(NEW, "BatchNorm_*")
    optimizer = transfer.at_rates(
        optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.1)),
        {"Dense_1/*": 1.0, "*": 0.0},
    )
    method = classifier.make(classifier.Config(classes=2), network=frozen, optimizer=optimizer)
    state = method.init(jax.random.key(2), BATCH)
    state = state._replace(params=taken["params"], extra={"batch_stats": taken["batch_stats"]})
    before, step = jax.device_get(state), jax.jit(method.train_step)
    losses = []
    for _ in range(30):
        state, metrics = step(state, BATCH)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0]
    jax.tree.map(np.testing.assert_array_equal, before.extra, jax.device_get(state.extra))
    for name, leaves in before.params.items():
        for kind, leaf in leaves.items():
            same = (leaf == np.asarray(state.params[name][kind])).all()
            assert same == (name != "Dense_1"), (name, kind)


def test_only_matching_statistics_are_frozen():
    made = variables(NEW, 0)
    frozen = transfer.FrozenStatistics(NEW, "BatchNorm_0")
    _, seen = frozen.apply(made, 5 * IMAGES, train=True, mutable=["batch_stats"])
    for name, moved in (("BatchNorm_0", False), ("BatchNorm_1", True)):
        change = seen["batch_stats"][name]["mean"] != made["batch_stats"][name]["mean"]
        assert change.any() == moved


def test_features_once_and_a_network_on_them():
    """Mode 2."""
    old = variables(OLD, 0)
    _, features, _ = distill.tapped(OLD, old, IMAGES, "features")
    head = MLP((), 2)
    method = classifier.make(classifier.Config(classes=2), network=head, optimizer=optax.adam(0.1))
    batch = {"image": features[:, :, None, None], "label": BATCH["label"]}
    state = method.init(jax.random.key(0), batch)
    step = jax.jit(method.train_step)
    _, first = step(state, batch)
    for _ in range(50):
        state, metrics = step(state, batch)
    assert metrics["loss"] < 0.8 * first["loss"]


def test_rates_by_layer():
    """Mode 3: the factors multiply the optimizer's changes, the first pattern counts."""
    params = variables(NEW, 0)["params"]
    gradient = jax.tree.map(jnp.ones_like, params)
    optimizer = transfer.at_rates(optax.sgd(1.0), {"Conv_0/*": 0.1, "Conv_*": 0.5})
    change, _ = optimizer.update(gradient, optimizer.init(params), params)
    for name, factor in (("Conv_0", 0.1), ("Conv_1", 0.5), ("Dense_0", 1.0)):
        np.testing.assert_allclose(change[name]["kernel"], -factor, rtol=1e-6)
