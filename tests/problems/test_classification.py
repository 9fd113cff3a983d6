"""The problem is given any method: here a toy whose answers are known."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.ops.metrics import Moments
from jaxdl.problems import classification, labelled
from jaxdl.problems.configs import classification as configs
from jaxdl.train.state import Method, TrainState

CLASSES = 4
COUNT = classification.AT_ONCE + 3  # so that the last batch is a ragged one


def part(count, seed):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, count).astype(np.int32)
    label[:CLASSES] = np.arange(CLASSES)
    image = rng.integers(0, 256, (count, 5, 5, 1)).astype(np.uint8)
    return {"image": image, "label": label}


DATA = labelled.Data(
    "toys",
    {"train": part(40, 0), "valid": part(COUNT, 1), "test": part(COUNT, 2)},
    ("a", "b", "c", "d"),
    part(COUNT, 2)["image"],
)


def logits(images):
    """Four means of rows; images from 0 to 1."""
    return 5 * images[:, :CLASSES, :, 0].mean(-1)


def toy(tasks=False):
    optimizer = optax.sgd(0.1)

    def predict(state, inputs):
        found = logits(inputs["image"])
        return {"logits/0": found, "logits/1": -found} if tasks else {"logits": found}

    def eval_step(state, batch):
        found = predict(state, batch)["logits"]
        losses = optax.softmax_cross_entropy_with_integer_labels(found, batch["label"])
        right = (found.argmax(-1) == batch["label"]).astype(jnp.float32)
        return {
            "loss": Moments.of(losses, batch["weight"]),
            "accuracy": Moments.of(right, batch["weight"]),
        }

    def init(key, batch):
        return TrainState.start({"weight": jnp.zeros(1)}, optimizer, (), key)

    return Method(init, lambda state, batch: (state, {}), predict, eval_step)


@pytest.fixture(scope="module")
def problem():
    drawing = configs.Drawing(epochs=2, batch=10)
    return classification.problem(DATA, configs.Labelled(), drawing, seed=3)


def expected(name):
    images, label = DATA.parts[name]["image"] / 255, DATA.parts[name]["label"]
    found = np.asarray(jax.nn.log_softmax(logits(jnp.asarray(images))))
    return -found[np.arange(COUNT), label].mean(), (found.argmax(-1) == label).mean()


def test_what_the_data_decide(problem):
    assert problem.dataset == problem.config.dataset == "toys"
    assert problem.facts == {"classes": 4, "examples": 40, "shape": [5, 5, 1]}
    assert problem.protocol["train"].startswith("40 images")
    batch = jax.jit(problem.sample)(jax.random.key(0), problem.data)
    assert batch["image"].shape == (10, 5, 5, 1)
    assert 0 <= batch["image"].min() < batch["image"].max() <= 1


def test_validation_and_test_count_every_image_once(problem):
    method = toy()
    state = method.init(jax.random.key(0), None)
    loss, accuracy = expected("valid")
    found = problem.validate(method)(state)
    assert found == {
        "loss": pytest.approx(loss, rel=1e-5),
        "accuracy": pytest.approx(accuracy, rel=1e-6),
    }
    loss, accuracy = expected("test")
    measured = problem.test(method)(state)
    metrics = measured.metrics
    assert metrics["loss"]["mean"] == pytest.approx(loss, rel=1e-5)
    assert metrics["accuracy"]["mean"] == pytest.approx(accuracy)
    assert metrics["accuracy"]["count"] == COUNT
    assert metrics["accuracy"]["mistakes"] == round(COUNT * (1 - accuracy))
    assert metrics["recall"]["mean"] == pytest.approx(
        np.mean([metrics[f"recall/{each}"]["mean"] for each in range(CLASSES)])
    )
    assert f"of {COUNT} test images right" in measured.says
    assert "toys, its own test part, after step 0, seed 3" in measured.says
    assert set(measured.figures) == {"confusion.png", "mistakes.png"}
    assert measured.figures["confusion.png"]().axes


def test_further_arrays_and_what_is_drawn_reach_the_step():
    further = DATA.with_parts(train={**DATA.parts["train"], "hint": np.arange(40.0)})

    def draw(key, part, index):
        turned = jnp.rot90(part["image"][index], axes=(1, 2))
        return {"image": turned, **{k: part[k][index] for k in part if k != "image"}}

    own = classification.problem(
        further, configs.Labelled(), configs.Drawing(batch=6), seed=0, draw=draw
    )
    batch = own.sample(jax.random.key(1), own.data)
    index = np.asarray(batch["hint"], int)
    wanted = np.rot90(further.parts["train"]["image"][index], axes=(1, 2)) / 255
    np.testing.assert_allclose(batch["image"], wanted, rtol=1e-6)
    np.testing.assert_array_equal(batch["label"], further.parts["train"]["label"][index])
    made = labelled.made(DATA, draw)
    np.testing.assert_array_equal(
        made.parts["test"]["image"], np.rot90(DATA.parts["test"]["image"], axes=(1, 2))
    )
    np.testing.assert_array_equal(made.shown, made.parts["test"]["image"])


def test_members_have_batches_of_their_own():
    own = classification.problem(
        DATA, configs.Labelled(), configs.Drawing(batch=6), seed=0, members=3
    )
    batch = own.sample(jax.random.key(1), own.data)
    assert batch["image"].shape == (3, 6, 5, 5, 1)
    assert (own.size, own.unit) == (3, "networks")


def test_all_outputs_become_log_probabilities():
    images = jnp.asarray(DATA.parts["test"]["image"][:6] / 255)
    one = np.asarray(jax.nn.log_softmax(logits(images)))
    np.testing.assert_allclose(classification.log_probability({"logits": logits(images)}), one)
    np.testing.assert_array_equal(classification.log_probability({"log_probability": one}), one)
    two = classification.log_probability({"logits/0": logits(images), "logits/1": -logits(images)})
    assert two.shape == (6, 2, CLASSES)
    np.testing.assert_allclose(two[:, 0], one)


@pytest.mark.parametrize("tasks", [False, True])
def test_a_recognizer_takes_bytes_and_numbers_of_any_size(tasks):
    method = toy(tasks)
    trained = classification.Recognizer(
        lambda facts: method,
        method.init(jax.random.key(0), None),
        facts={"shape": [5, 5, 1]},
        batch=None,
    )
    images = DATA.parts["test"]["image"]
    found = trained.predict(images)
    assert found.shape == (COUNT, 2, CLASSES) if tasks else (COUNT, CLASSES)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(trained.predict(images[:1, ..., 0] / 255), found[:1], rtol=1e-4)
    larger = np.repeat(np.repeat(images[:2], 2, 1), 2, 2)
    for same in (larger, larger / 255):
        assert trained.predict(same).shape == found[:2].shape
    with pytest.raises(ValueError, match="expected images"):
        trained.predict(np.zeros((2, 5, 5, 3)))


def test_classes_that_are_left_out_are_left_out_everywhere():
    config = configs.Labelled(size=8)
    dataset, parts = labelled.read(config)
    data = labelled.divide(config, dataset, parts, only=(7, 3))
    assert data.names == ("7", "3")
    assert {int(each) for each in data.parts["test"]["label"]} == {0, 1}
    train, test = (data.parts[name]["label"] for name in ("train", "test"))
    assert (test == 0).sum() == (parts["test"]["label"] == 7).sum()
    whole = sum(len(data.parts[name]["label"]) for name in ("train", "valid"))
    assert whole == np.isin(parts["train"]["label"], (7, 3)).sum() > len(train)
