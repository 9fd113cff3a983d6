import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.supervised import classifier
from jaxdl.nn.classify import CNN, MLP
from jaxdl.ops import augmentation
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest

NETWORK = CNN(((4,), (4,)), (8,), 3)
THREE = classifier.Config(classes=3)


def batch(size):
    label = jnp.arange(size) % 3
    noise = 0.1 * jax.random.normal(jax.random.key(0), (size, 8, 8, 1))
    return {
        "image": noise + label[:, None, None, None] / 3,
        "label": label,
        "weight": jnp.ones(size),
    }


def test_learns_and_is_measured(tmp_path):
    method = classifier.make(THREE, network=NETWORK, optimizer=optax.adam(1e-2))
    data, step = batch(12), jax.jit(method.train_step)
    state = jax.jit(method.init)(jax.random.key(0), data)
    # Three of twelve images do not count; a third of the others is right by chance.
    padded = data | {"weight": (jnp.arange(12) < 9).astype(float)}
    evaluate = jax.jit(method.eval_step)
    before = evaluate(state, padded)
    assert before["accuracy"].count == 9
    for _ in range(60):
        state, metrics = step(state, data)
    assert evaluate(state, data)["accuracy"].mean == 1
    assert metrics["loss"] < 0.2 * before["loss"].mean
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        restored, _ = checkpoints.restore(state)
    assert digest(step(restored, data)[0]) == digest(step(state, data)[0])


def test_smoothing_and_mixing_by_hand():
    # One linear layer that is 0: all classes have 1 / 3, whatever the target, and a loss of log 3;
    # the gradient of its bias is 1 / 3 minus the mean target.
    network = MLP((), 3, kernel_init=jax.nn.initializers.zeros)
    data = {"image": jnp.ones((4, 2, 2, 1)), "label": jnp.array([0, 0, 0, 1])}
    for more, target in (
        ({}, [3 / 4, 1 / 4, 0]),
        ({"label_smoothing": 0.3}, [0.7 * 3 / 4 + 0.1, 0.7 / 4 + 0.1, 0.1]),
    ):
        config = dataclasses.replace(THREE, **more)
        method = classifier.make(config, network=network, optimizer=optax.sgd(1.0))
        state, metrics = method.train_step(method.init(jax.random.key(0), data), data)
        np.testing.assert_allclose(metrics["loss"], np.log(3), rtol=1e-6)
        bias = state.params["Dense_0"]["bias"]
        np.testing.assert_allclose(-bias, 1 / 3 - np.array(target), atol=1e-6)
    config = dataclasses.replace(THREE, mixup=0.4)
    method = classifier.make(config, network=network, optimizer=optax.sgd(1.0))
    bias = method.train_step(method.init(jax.random.key(0), data), data)[0].params["Dense_0"][
        "bias"
    ]
    np.testing.assert_allclose(bias.sum(), 0, atol=1e-6)
    assert 0 < bias[0] < 3 / 4 + 1 / 4  # of the first and the last, 0 and 1 mixed


def test_images_change_in_training_alone(monkeypatch):
    seen = []
    original = augmentation.random_affine
    monkeypatch.setattr(
        augmentation, "random_affine", lambda *a, **k: seen.append(k) or original(*a, **k)
    )
    config = dataclasses.replace(THREE, degrees=20.0, flip=True, brightness=0.1, noise=0.1)
    images = jax.random.uniform(jax.random.key(0), (5, 8, 8, 1))
    changed = classifier.augmented(config, jax.random.key(1), images)
    assert seen == [{"degrees": 20.0, "shear": 0.0, "scale": 0.0, "shift": 0.0}]
    assert changed.shape == images.shape
    assert (abs(changed - images).max((1, 2, 3)) > 0.01).all()
    np.testing.assert_array_equal(classifier.augmented(THREE, jax.random.key(1), images), images)


def test_the_average_is_what_is_tested():
    config = dataclasses.replace(THREE, average_decay=0.9)
    network = CNN(((4,),), (), 3, batch_norm=True, dropout=0.2)
    method = classifier.make(config, network=network, optimizer=optax.sgd(0.5))
    data = batch(6)
    state = method.init(jax.random.key(0), data)
    start = jax.device_get(state)
    step = jax.jit(method.train_step)
    after, _ = step(state, data)
    # The first step keeps a tenth of the initial parameters and statistics.
    for name, now in (("params", after.params), ("batch_stats", after.extra["batch_stats"])):
        jax.tree.map(
            lambda old, new, mean: np.testing.assert_allclose(
                mean, 0.1 * old + 0.9 * new, rtol=1e-5, atol=1e-6
            ),
            start.params if name == "params" else start.extra["batch_stats"],
            now,
            after.extra["average"][name],
        )
    logits = method.predict(after, {"image": data["image"]})["logits"]
    np.testing.assert_allclose(
        logits, network.apply(after.extra["average"], data["image"]), rtol=1e-6
    )


def test_microbatches_give_the_gradient_of_the_batch():
    results = []
    for microbatch in (None, 2):
        config = dataclasses.replace(THREE, microbatch=microbatch)
        method = classifier.make(config, network=NETWORK, optimizer=optax.sgd(0.1))
        state = method.init(jax.random.key(0), batch(6))
        results.append(jax.device_get(jax.jit(method.train_step)(state, batch(6))[0].params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *results)


def test_settings_and_pixels_are_standardised():
    config = dataclasses.replace(THREE, mean=0.25, deviation=0.5)
    network = MLP((), 3)
    method = classifier.make(config, network=network)
    data = batch(3)
    state = method.init(jax.random.key(0), data)
    np.testing.assert_allclose(
        method.predict(state, data)["logits"],
        network.apply({"params": state.params}, (data["image"] - 0.25) / 0.5),
        rtol=1e-6,
    )


def test_features_are_predicted_when_there_are_any():
    class Plain(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            return nn.Dense(3)(images.reshape(len(images), -1))

    data = batch(3)
    for network, features in ((NETWORK, (3, 8)), (Plain(), None)):
        method = classifier.make(THREE, network=network)
        found = method.predict(method.init(jax.random.key(0), data), {"image": data["image"]})
        assert found["logits"].shape == (3, 3)
        assert ("features" in found) == (features is not None)
        if features:
            assert found["features"].shape == features


@pytest.mark.parametrize(
    "wrong", [{"mixup": -1.0}, {"label_smoothing": 1.0}, {"deviation": 0.0}, {"classes": 1}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        classifier.make(classifier.Config(**wrong))
