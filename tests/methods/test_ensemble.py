"""Members are networks of their own that happen to be trained together."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.ensemble import ensemble
from jaxdl.nn.classify import CNN, MLP
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest
from jaxdl.train.state import TrainState
from jaxdl.train.step import gradient_step

CONFIG = ensemble.Config(members=4, classes=3)
NETWORK = CNN(((4,),), (6,), 3, batch_norm=True)
IMAGES = jax.random.uniform(jax.random.key(0), (4, 6, 8, 8, 1))
BATCH = {"image": IMAGES, "label": jnp.arange(24).reshape(4, 6) % 3}


def test_a_member_is_what_it_would_be_alone():
    optimizer = optax.adam(1e-2)
    method = ensemble.make(CONFIG, network=NETWORK, optimizer=optimizer)
    state = method.init(jax.random.key(1), BATCH)
    kernels = state.params["Conv_0"]["kernel"]
    assert (kernels[0] != kernels[1]).any()  # own seeds
    after, metrics = jax.jit(method.train_step)(state, BATCH)

    def loss(params, extra, key, batch):
        logits, seen = NETWORK.apply(
            {"params": params, "batch_stats": extra},
            batch["image"],
            train=True,
            mutable=["batch_stats"],
        )
        own = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return own.mean(), (seen["batch_stats"], {})

    losses = []
    for index in range(4):
        alone = ensemble.member(state, index)
        alone = TrainState.start(alone["params"], optimizer, alone["batch_stats"], state.key)
        batch = jax.tree.map(lambda leaf, i=index: leaf[i], BATCH)
        alone, own = jax.jit(gradient_step(loss, optimizer))(alone, batch)
        losses.append(own["loss"])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            {"params": alone.params, "batch_stats": alone.extra},
            ensemble.member(after, index),
        )
    np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-5)


def test_own_learning_rates():
    config = ensemble.Config(members=4, classes=3, rate_factors=(1.0, 0.5, 0.0, 2.0))
    network = MLP((), 3)
    method = ensemble.make(config, network=network, optimizer=optax.sgd(0.1))
    state = method.init(jax.random.key(0), BATCH)
    # The same parameters and batch for all: the changes are in the ratio of the rates.
    same = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), state.params)
    batch = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:1], leaf.shape), BATCH)
    after, _ = method.train_step(state._replace(params=same), batch)
    change = after.params["Dense_0"]["kernel"] - same["Dense_0"]["kernel"]
    for index, factor in enumerate(config.rate_factors):
        np.testing.assert_allclose(change[index], factor * change[0], atol=1e-6)


def test_evaluation_is_of_the_mean_probability():
    method = ensemble.make(CONFIG, network=NETWORK)
    state = method.init(jax.random.key(1), BATCH)
    batch = {"image": IMAGES[0], "label": BATCH["label"][0], "weight": jnp.ones(6)}
    found = method.eval_step(state, batch)
    predicted = method.predict(state, {"image": IMAGES[0]})
    probability = jnp.exp(predicted["members"])  # [B, M, A]
    np.testing.assert_allclose(
        jnp.exp(predicted["log_probability"]), probability.mean(1), rtol=1e-5
    )
    own = probability[jnp.arange(6), :, batch["label"]].T
    np.testing.assert_allclose(found["loss"].mean, -jnp.log(own.mean(0)).mean(), rtol=1e-5)
    np.testing.assert_allclose(found["member loss"].mean, -jnp.log(own).mean(), rtol=1e-5)
    assert found["loss"].mean < found["member loss"].mean  # Jensen's inequality
    one = NETWORK.apply(ensemble.member(state, 2), IMAGES[0])
    np.testing.assert_allclose(jax.nn.softmax(one), probability[:, 2], rtol=1e-5)


def test_learns_and_resumes(tmp_path):
    network = CNN(((4,),), (6,), 3, dropout=0.2)
    method = ensemble.make(CONFIG, network=network, optimizer=optax.adam(1e-2))
    step, state = jax.jit(method.train_step), method.init(jax.random.key(0), BATCH)
    _, first = step(state, BATCH)
    for _ in range(60):
        state, metrics = step(state, BATCH)
    assert metrics["loss"] < 0.7 * first["loss"]
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        restored, _ = checkpoints.restore(state)
    assert digest(step(restored, BATCH)[0]) == digest(step(state, BATCH)[0])


def test_devices_share_all_members():
    method = ensemble.make(CONFIG, network=MLP((), 3), axis_name="devices")
    state = method.init(jax.random.key(0), BATCH)
    three = jax.tree.map(lambda leaf: leaf[:3, None], BATCH)
    with pytest.raises(ValueError, match="3 devices with 1 members each do not share 4"):
        jax.vmap(method.train_step, (None, 0), axis_name="devices")(state, three)


@pytest.mark.parametrize("wrong", [{"members": 1}, {"rate_factors": (1.0,)}, {"deviation": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"at least 2|one for each|must be"):
        ensemble.make(ensemble.Config(**wrong))
