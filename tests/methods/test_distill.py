"""A student, its teachers, and what is kept of them."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.distill import distill
from jaxdl.nn.classify import CNN, MLP
from jaxdl.ops import augmentation
from jaxdl.ops import distillation as ops
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest
from jaxdl.train.report import WorkdirError
from jaxdl.train.teacher_cache import cached, example_keys

IMAGES = jax.random.uniform(jax.random.key(0), (16, 8, 8, 1))
LABELS = jnp.arange(16) % 3
BATCH = {"image": IMAGES, "label": LABELS, "weight": jnp.ones(16)}
STUDENT = MLP((12,), 3)


def trained_teacher(seed=0, network=None, **options):
    network = network or CNN(((4,),), (6,), 3, batch_norm=True)
    variables = network.init(jax.random.key(seed), IMAGES)
    variables = jax.tree.map(lambda leaf: 2 * leaf, variables)  # no longer undecided
    return distill.teacher(network, variables, **options)


def steps(config, network, count=1, batch=BATCH, rate=0.1):
    method = distill.make(config, network=network, optimizer=optax.sgd(rate))
    state = method.init(jax.random.key(1), batch)
    step = jax.jit(method.train_step)
    for _ in range(count):
        state, metrics = step(state, batch)
    return method, state, metrics


def test_the_loss_is_that_of_the_outputs():
    made = trained_teacher()
    method = distill.make(distill.Config(hard=0.3, temperature=2.0), network=(STUDENT, (made,)))
    state = method.init(jax.random.key(1), BATCH)
    logits = STUDENT.apply({"params": state.params["student"]}, IMAGES)
    wanted, _ = made.apply(made.variables, IMAGES)
    expected = ops.soft_and_hard(logits, wanted, LABELS, temperature=2.0, hard=0.3).mean()
    after, metrics = jax.jit(method.train_step)(state, BATCH)
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    assert digest(after.extra["teachers"]) == digest((made.variables,))
    measured = method.eval_step(state, BATCH)
    np.testing.assert_allclose(
        measured["divergence"].mean, ops.divergence(logits, wanted, 1.0).mean(), rtol=1e-5
    )
    decoupled = distill.make(distill.Config(hard=0.0, loss="decoupled"), network=(STUDENT, (made,)))
    _, metrics = jax.jit(decoupled.train_step)(state, BATCH)
    np.testing.assert_allclose(
        metrics["loss"], ops.decoupled(logits, wanted, LABELS).mean(), rtol=1e-5
    )


def test_a_student_comes_to_agree_without_labels():
    unlabelled = {"image": IMAGES}
    config = distill.Config(hard=0.0)
    _, _, first = steps(config, (STUDENT, (trained_teacher(),)), 1, unlabelled)
    _, _, last = steps(config, (STUDENT, (trained_teacher(),)), 300, unlabelled, rate=0.3)
    assert last["loss"] < 0.2 * first["loss"]
    assert last["agreement"] > first["agreement"]


def test_several_teachers_teach_their_mean():
    both = trained_teacher(0), trained_teacher(1)
    config = distill.Config(temperature=3.0, hard=0.0)
    variables = [each.variables for each in both]
    logits = distill.teacher_logits(config, both, variables, IMAGES)
    mean = sum(jax.nn.softmax(each.apply(each.variables, IMAGES)[0] / 3) for each in both) / 2
    np.testing.assert_allclose(jax.nn.softmax(logits / 3), mean, rtol=1e-5)
    # The gradient is that of the mean of the divergences.
    student = jnp.asarray(np.random.default_rng(0).normal(size=(16, 3)), jnp.float32)
    together = jax.grad(lambda z: ops.divergence(z, logits, 3.0).sum())(student)
    one_by_one = jax.grad(
        lambda z: sum(
            ops.divergence(z, each.apply(each.variables, IMAGES)[0], 3.0).sum() / 2 for each in both
        )
    )(student)
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)
    assert np.isfinite(steps(config, (STUDENT, both))[2]["loss"])


def test_a_teacher_stays_as_it_is_bit_by_bit_with_microbatches():
    def linear(variables, images):
        return images.reshape(len(images), -1) @ variables, None

    # A third of a number, three times, is not always the number.
    made = distill.Teacher(linear, jax.random.normal(jax.random.key(0), (64, 3)))
    part = jax.tree.map(lambda leaf: leaf[:15], BATCH)
    _, state, _ = steps(distill.Config(microbatch=5), (STUDENT, (made,)), batch=part)
    assert digest(state.extra["teachers"]) == digest((made.variables,))


def test_any_function_can_teach():
    def pixels(variables, images):
        return variables * images[:, :3, 0, 0], None

    made = distill.Teacher(pixels, jnp.float32(5.0))
    _, _, metrics = steps(distill.Config(), (STUDENT, (made,)), 3)
    assert np.isfinite(metrics["loss"])


@pytest.mark.parametrize("loss", ["hint", "attention", "similarity", "distance and angle"])
def test_features_are_learned(loss):
    tap = "Conv_0" if loss == "attention" else "features"
    made = trained_teacher(network=CNN(((4,),), (6,), 3), tap=tap)
    student = CNN(((2,),), (5,), 3)
    config = distill.Config(feature_loss=loss, tap=tap, feature_weight=1.0)
    _, state, first = steps(config, (student, (made,)))
    assert ("regressor" in state.params) == (loss == "hint")
    _, _, last = steps(config, (student, (made,)), 60, rate=0.05)
    assert last["feature_loss"] < first["feature_loss"]


def test_taps():
    class Block(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            return nn.Dense(2, name="inside")(inputs)

    class Net(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            hidden = Block(name="block")(images.reshape(len(images), -1))
            self.sow("intermediates", "twice", 2 * hidden)
            return nn.Dense(3)(hidden)

    variables = Net().init(jax.random.key(0), IMAGES)
    logits, inside, _ = distill.tapped(Net(), variables, IMAGES, "block/inside")
    _, block, _ = distill.tapped(Net(), variables, IMAGES, "block")
    _, sown, _ = distill.tapped(Net(), variables, IMAGES, "twice")
    np.testing.assert_array_equal(inside, block)
    np.testing.assert_array_equal(sown, 2 * inside)
    np.testing.assert_array_equal(logits, Net().apply(variables, IMAGES))
    assert distill.tapped(Net(), variables, IMAGES, None)[1] is None
    with pytest.raises(
        ValueError, match=r"nothing to tap at 'nowhere'; the network sows \['twice'"
    ):
        distill.tapped(Net(), variables, IMAGES, "nowhere")


def test_a_cache_is_what_the_teacher_says_live(tmp_path):
    """Two variants of each image, drawn and changed as a training step does."""
    made, config = trained_teacher(), distill.Config(hard=0.0)
    changes = augmentation.Changes(shift=2.0, degrees=20.0)
    key = jax.random.key(7)

    @jax.jit
    def changed(index, variant):
        keys = example_keys(key, index, variant)
        return jax.vmap(lambda k, image: augmentation.change(changes, k, image))(
            keys, IMAGES[index]
        )

    def compute():
        def variant(number):
            images = changed(jnp.arange(16), jnp.full(16, number))
            return distill.teacher_logits(config, (made,), (made.variables,), images)

        return np.stack([np.asarray(variant(number)) for number in range(2)])

    origin = {
        "teachers": digest(made.variables),
        "data set": digest({"image": IMAGES}),
        "changes": dataclasses.asdict(changes),
        "key": 7,
        "temperature": config.temperature,
    }
    kept = cached(tmp_path, origin, compute)
    index, variant = jnp.array([3, 0, 15, 3]), jnp.array([1, 0, 1, 0])
    batch = {"image": changed(index, variant)}
    live = distill.teacher_logits(config, (made,), (made.variables,), batch["image"])
    np.testing.assert_allclose(kept[np.asarray(variant), np.asarray(index)], live, atol=1e-6)
    results = []
    for more in ({}, {"teacher_logits": jnp.asarray(kept[np.asarray(variant), np.asarray(index)])}):
        _, state, _ = steps(config, (STUDENT, (made,)), 5, batch | more)
        results.append(jax.device_get(state.params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), *results)

    def never():
        raise AssertionError("computed again")

    np.testing.assert_array_equal(cached(tmp_path, origin, never), kept)
    for name, other in (
        ("teachers", digest(trained_teacher(1).variables)),
        ("data set", digest({"image": IMAGES + 1})),
        ("changes", dataclasses.asdict(dataclasses.replace(changes, shift=1.0))),
        ("temperature", 1.0),
    ):
        with pytest.raises(WorkdirError, match=f"made with another {name}; delete that folder"):
            cached(tmp_path, origin | {name: other}, never)


def test_a_restored_state_goes_on(tmp_path):
    student = MLP((12,), 3, dropout=0.2)
    method, state, _ = steps(distill.Config(), (student, (trained_teacher(),)))
    step = jax.jit(method.train_step)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        restored, _ = checkpoints.restore(state)
    assert digest(step(restored, BATCH)[0]) == digest(step(state, BATCH)[0])


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="features are learned from one teacher, got 0"):
        distill.make(distill.Config(feature_loss="hint"))
    with pytest.raises(ValueError, match="temperature and deviation must be positive"):
        distill.make(distill.Config(temperature=0.0))
    method = distill.make(distill.Config())
    state = method.init(jax.random.key(0), BATCH)
    with pytest.raises(ValueError, match="there is no teacher"):
        method.train_step(state, BATCH)
    config = distill.Config(feature_loss="attention")
    with pytest.raises(ValueError, match=r"of maps \[B, H, W, C\]; at 'features' there are"):
        steps(config, (STUDENT, (trained_teacher(tap="features"),)))


def test_a_student_predicts_in_evaluation_mode():
    student = MLP((12,), 3, dropout=0.5)
    config = distill.Config(mean=0.2, deviation=0.5)
    method, state, _ = steps(config, (student, (trained_teacher(),)))
    found = method.predict(state, {"image": IMAGES})
    expected = student.apply({"params": state.params["student"]}, (IMAGES - 0.2) / 0.5)
    np.testing.assert_allclose(found["logits"], expected, rtol=1e-5, atol=1e-6)
    assert found["features"].shape == (16, 12)
