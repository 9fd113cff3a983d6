"""Anomaly detection as a problem, with a detector that needs no training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data import images
from jaxdl.problems import anomalies
from jaxdl.problems.configs import anomalies as configs
from jaxdl.train.state import Method, TrainState

CONFIG = configs.Anomalies(size=8, resamples=20)


def detector(score="ink"):
    """Knows of an image how much ink it has, and makes of it what the state says."""

    def predict(state, inputs):
        return {
            "ink": (inputs["image"] + 1).mean((1, 2, 3)) / 2,
            "image": jnp.zeros_like(inputs["image"]) + state.params,
        }

    return Method(None, None, predict, None, {"score": score})


STATE = TrainState(jnp.int32(0), jnp.float32(0.5), (), (), jax.random.key(0))


@pytest.fixture(scope="module")
def found():
    return anomalies.read(CONFIG)


@pytest.fixture(scope="module")
def problem(found):
    return anomalies.load(found.config, found.split(1, seed=0), batch=16)


def test_batches_are_healthy_images_in_range(found, problem):
    assert problem.facts == {"size": 8, "channels": 1}
    assert problem.dataset == "digits"
    batch = jax.jit(problem.sample)(jax.random.key(0), problem.data)
    assert batch["image"].shape == (16, 8, 8, 1)
    assert batch["image"].min() == -1
    assert batch["image"].max() == 1
    healthy = found.data["train"]["image"][found.data["train"]["label"] != 1]
    pooled = np.concatenate([healthy, found.data["test"]["image"]])
    known = {image.tobytes() for image in pooled}
    drawn = np.rint((np.asarray(batch["image"]) + 1) * 127.5).astype(np.uint8)
    assert all(image.tobytes() in known for image in drawn)


def test_the_test_measures_and_draws_every_kind_of_score(found, problem):
    measured = problem.test(detector())(STATE)
    split = found.split(1, seed=0)
    ink = images.unit(split.test).mean((1, 2, 3))
    healthy, strange = ink[~split.anomalous], ink[split.anomalous]
    wins = (strange[:, None] > healthy).mean() + 0.5 * (strange[:, None] == healthy).mean()
    auroc = measured.metrics["ink/auroc"]
    assert auroc["mean"] == pytest.approx(wins, abs=1e-3)
    assert auroc["low"] <= auroc["mean"] <= auroc["high"]
    maximum = measured.metrics["ink/f1 at maximum"]
    assert maximum["threshold"] > images.unit(split.validation).mean((1, 2, 3)).max() - 1e-6
    assert measured.says.startswith(f"AUROC of ink {wins:.3f} (digits")
    assert measured.figures["scores.png"]().axes
    valid = problem.validate(detector())(STATE)
    assert valid["ink"] == pytest.approx(images.unit(split.validation).mean(), rel=1e-5)


def test_a_detector_takes_bytes_and_numbers_of_any_count(found):
    trained = anomalies.Detector(
        lambda facts: detector(), STATE, facts={"size": 8, "channels": 1}, batch=None
    )
    shown = found.data["test"]["image"][:7]
    scores = trained.scores(shown)
    assert scores.keys() == {"ink"}
    np.testing.assert_allclose(scores["ink"], images.unit(shown).mean((1, 2, 3)), rtol=1e-5)
    for same in (shown / 255, (shown / 255).astype(np.float32)[..., 0]):
        np.testing.assert_allclose(trained.scores(same)["ink"], scores["ink"], rtol=1e-5)
    np.testing.assert_allclose(trained.scores(shown[:1])["ink"], scores["ink"][:1])
    made = trained.reconstruct(shown)
    assert made.shape == shown.shape
    np.testing.assert_allclose(made, 0.75)  # of 0.5 between -1 and 1
    with pytest.raises(ValueError, match=r"expected images \[n, 8, 8, 1\].* got \[7, 4, 4, 1\]"):
        trained.scores(shown[:, :4, :4])
