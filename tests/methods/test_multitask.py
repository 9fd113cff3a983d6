"""Tasks that share all, something, or nothing; and their gradients in one program."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.supervised import classifier, multitask
from jaxdl.nn.classify import CNN
from jaxdl.nn.multitask import HardSharing, SoftSharing
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest

TRUNK = CNN(((4,),), (), 6, batch_norm=True)
CLASSES = (3, 2)
HARD, SOFT = HardSharing(TRUNK, CLASSES), SoftSharing(TRUNK, CLASSES)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 8, 8, 1))
LABELS = jnp.stack([jnp.arange(8) % 3, jnp.arange(8) // 4], -1)
BATCH = {"image": IMAGES, "label": LABELS}


def start(network, optimizer=None, **settings):
    method = multitask.make(
        multitask.Config(**settings), network=network, optimizer=optimizer or optax.sgd(0.1)
    )
    method = method._replace(train_step=jax.jit(method.train_step))
    return method, jax.jit(method.init)(jax.random.key(1), BATCH)


def test_a_task_alone_is_a_classifier():
    network = HardSharing(TRUNK, (3,))

    class Alone(HardSharing):
        def __call__(self, images, *, train=False):
            return super().__call__(images, train=train)[0]

    method, state = start(network)
    batch = {"image": IMAGES, "label": LABELS[:, :1]}
    after, metrics = method.train_step(state, batch)
    alone = classifier.make(
        classifier.Config(classes=3), network=Alone(TRUNK, (3,)), optimizer=optax.sgd(0.1)
    )
    own = jax.jit(alone.init)(jax.random.key(1), {"image": IMAGES, "label": LABELS[:, 0]})
    own = own._replace(params=state.params["network"])
    own, expected = jax.jit(alone.train_step)(own, {"image": IMAGES, "label": LABELS[:, 0]})
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(metrics["accuracy/0"], expected["accuracy"])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        after.params["network"],
        own.params,
    )


def test_trunks_without_coupling_learn_nothing_from_the_other_task():
    method, state = start(SOFT)
    trunk = state.params["network"]["trunk"]
    assert (trunk["Conv_0"]["kernel"][0] != trunk["Conv_0"]["kernel"][1]).any()
    after, _ = method.train_step(state, BATCH)
    other, _ = method.train_step(state, BATCH | {"label": LABELS.at[:, 1].set(0)})
    for one, two in zip(
        jax.tree.leaves(after.params["network"]["trunk"]),
        jax.tree.leaves(other.params["network"]["trunk"]),
        strict=True,
    ):
        np.testing.assert_array_equal(one[0], two[0])
    kernels = [state.params["network"]["trunk"]["Conv_0"]["kernel"] for state in (after, other)]
    assert (kernels[0][1] != kernels[1][1]).any()


def test_coupling_draws_the_trunks_together():
    # Half the spread has the gradient `parameters - mean`: a step with the rate times the coupling
    # equal to 1 makes the trunks equal, but for what the tasks add.
    method, state = start(SOFT, optax.sgd(1e-6), coupling=1e6)
    after, _ = method.train_step(state, BATCH)
    for leaf in jax.tree.leaves(after.params["network"]["trunk"]):
        np.testing.assert_allclose(leaf[0], leaf[1], atol=1e-5)
    loss, spread = (
        start(SOFT, coupling=coupling)[0].train_step(state, BATCH)[1]["loss"]
        for coupling in (0.0, 2.0)
    )
    differences = [
        (leaf[0] - leaf[1]) ** 2 for leaf in jax.tree.leaves(state.params["network"]["trunk"])
    ]
    expected = loss + sum(each.sum() for each in differences) / 2
    np.testing.assert_allclose(spread, expected, rtol=1e-5)


@pytest.mark.parametrize("network", [HARD, SOFT], ids=["hard", "soft"])
def test_surgery_equals_the_sum_where_nothing_conflicts(network):
    # Networks of their own have no gradient in common: the cosine is 0.
    method, state = start(network)
    plain, _ = method.train_step(state, BATCH)
    cut, metrics = start(network, surgery=True)[0].train_step(state, BATCH)
    differences = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), plain.params, cut.params)
    largest = max(jax.tree.leaves(differences))
    if network is SOFT or metrics["conflict"] >= 0:
        assert largest < 1e-6
    else:
        assert largest > 1e-6
    assert -1 <= metrics["conflict"] <= 1


def test_surgery_follows_the_projected_gradient():
    # The same answers with another meaning: the second task undoes what the first one learns.
    network = HardSharing(TRUNK, (2, 2))
    method = multitask.make(
        multitask.Config(surgery=True), network=network, optimizer=optax.sgd(1.0)
    )
    label = jnp.stack([jnp.arange(8) % 2, 1 - jnp.arange(8) % 2], -1)
    batch = {"image": IMAGES, "label": label}
    state = jax.jit(method.init)(jax.random.key(1), batch)
    heads = state.params["network"]["head_0"]
    state.params["network"]["head_1"] = heads
    after, metrics = jax.jit(method.train_step)(state, batch)
    assert metrics["conflict"] < 0

    def loss(params, task):
        variables = {"params": params, "batch_stats": state.extra}
        logits, _ = network.apply(variables, IMAGES, train=True, mutable=["batch_stats"])
        each = optax.softmax_cross_entropy_with_integer_labels(logits[task], label[:, task])
        return each.mean()

    one, two = (
        jax.flatten_util.ravel_pytree(
            jax.jit(jax.grad(loss), static_argnums=1)(state.params["network"], task)
        )
        for task in (0, 1)
    )
    (one, unravel), (two, _) = one, two
    product = one @ two
    expected = one - product / (two @ two) * two + two - product / (one @ one) * one
    found = jax.tree.map(lambda a, b: a - b, state.params, after.params)["network"]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        found,
        unravel(expected),
    )


def test_uncertainty_finds_the_weights():
    method, state = start(HARD, optax.adam(0.05), weighting="uncertainty")
    step = method.train_step
    for _ in range(100):
        state, metrics = step(state, BATCH)
    assert metrics["accuracy/0"] == 1
    assert (state.params["log_variance"] < -2).all()  # the losses fall, so do the variances


def test_evaluation():
    method, state = start(HARD)
    predicted = method.predict(state, {"image": IMAGES})
    logits = [predicted["logits/0"], predicted["logits/1"]]
    found = method.eval_step(state, BATCH | {"weight": jnp.ones(8)})
    right = np.stack([each.argmax(-1) for each in logits], -1) == LABELS
    np.testing.assert_allclose(found["accuracy"].mean, right.mean())
    np.testing.assert_allclose(found["all right"].mean, right.all(-1).mean())
    np.testing.assert_allclose(found["accuracy/1"].mean, right[:, 1].mean())
    np.testing.assert_allclose(
        found["loss"].mean, found["loss/0"].mean + found["loss/1"].mean, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("network", "settings"),
    [(HARD, {"surgery": True, "weighting": "uncertainty"}), (SOFT, {"coupling": 0.1})],
    ids=["hard", "soft"],
)
def test_restored_is_saved(tmp_path, network, settings):
    method, state = start(network, **settings)
    step = method.train_step
    state, _ = step(state, BATCH)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        restored, _ = checkpoints.restore(state)
    assert digest(step(restored, BATCH)[0]) == digest(step(state, BATCH)[0])


@pytest.mark.parametrize("wrong", [{"coupling": -1.0}, {"deviation": 0.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must not be negative"):
        multitask.make(multitask.Config(**wrong))
