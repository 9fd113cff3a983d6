"""Generation as a problem, with a generator and a judge that need no training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.problems import generation, judging
from jaxdl.problems.configs import generation as configs
from jaxdl.train.report import Report
from jaxdl.train.state import Method, TrainState

STATE = TrainState(jnp.int32(20), jnp.float32(0.5), (), (), jax.random.key(0))


def generator():
    """Makes grey images, the lighter the larger the label, and noise of the latent vector."""

    def predict(state, inputs):
        grey = inputs["label"] / 10 + 0.01 * inputs["latent"][:, 0]
        return {"image": jnp.broadcast_to(grey[:, None, None, None], (len(grey), 8, 8, 1))}

    return Method(None, None, predict, None)


def classify(shown):
    """A class by the mean, and two features."""
    mean = np.asarray(shown).mean((1, 2, 3))
    right = np.clip(np.rint(10 * mean), 0, 9).astype(int)
    return np.eye(10)[right] * 0.95 + 0.005, np.stack([mean, shown[:, 4, 4, 0]], -1)


JUDGE = judging.Judge(classify, 0.75, "digest", "runs/judge")


def found(**options):
    return judging.read(configs.Generation(size=8, samples=600, **options))


def test_batches_and_facts():
    problem = generation.load(found(), None, latent=3, batch=4, updates=2)
    assert problem.facts == {"size": 8, "channels": 1, "classes": 0}
    batch = problem.sample(jax.random.key(0), problem.data)
    assert batch["image"].shape == (8, 8, 8, 1)
    assert batch["image"].min() >= -1
    assert batch["label"].shape == (8,)
    conditional = generation.load(found(conditional=True), None, latent=3, batch=4)
    assert conditional.facts["classes"] == 10
    with pytest.raises(ValueError, match="judged by a classifier"):
        problem.test(generator())(STATE)


def test_a_state_is_judged_and_drawn(tmp_path):
    samples = Report(tmp_path)
    problem = generation.load(found(), JUDGE, latent=3, batch=4, samples=samples)
    valid = problem.validate(generator())(STATE)
    assert (tmp_path / "step-000020.png").exists()
    # As often as in the data, whose classes are nearly even.
    assert valid["class_entropy"] == pytest.approx(np.log(10), abs=0.02)
    assert valid["confident_share"] == 1
    measured = problem.test(generator())(STATE)
    assert measured.metrics["class_entropy"]["count"] == 600
    assert measured.metrics["frechet_distance"]["count"] == 600
    for name in ("frechet_distance", "kernel_distance"):
        assert measured.metrics[name]["mean"] > 2 * measured.metrics[name]["floor"]
    assert "judge 75.00 % right" in measured.says
    grid = measured.figures["grid.png"]()
    assert grid.shape == (80, 80)
    assert grid.dtype == np.uint8
    # One class in each column.
    assert (np.diff(grid.mean(0).reshape(10, 8).mean(1)) > 5).all()
    walks = measured.figures["interpolation.png"]()
    assert (np.diff(walks.mean(1).reshape(10, 8).mean(1)) > 5).all()
    assert len(measured.figures["over_time.png"]().axes) == 1


@pytest.mark.parametrize("classes", [0, 3])
def test_images_of_a_key_and_a_label(classes):
    class Config:
        class method:
            latent = 2

    def make(facts):
        def predict(state, inputs):
            assert ("label" in inputs) == bool(facts["classes"])
            grey = inputs.get("label", 0 * inputs["latent"][:, 0]) + inputs["latent"][:, 0] / 100
            return {"image": grey[:, None, None, None] / 10}

        return Method(None, None, predict, None)

    trained = generation.Generator(
        make, STATE, facts={"classes": classes}, batch=None, config=Config
    )
    key = jax.random.key(0)
    made = trained.generate(key, 70)  # more than one call's
    assert made.shape == (70, 1, 1, 1)
    assert len(np.unique(made)) == 70
    of_class = np.rint(10 * made[:, 0, 0, 0])
    np.testing.assert_array_equal(of_class, np.arange(70) % classes if classes else np.zeros(70))
    np.testing.assert_array_equal(trained.generate(key, 70), made)
    if classes:
        np.testing.assert_array_equal(np.rint(10 * trained.generate(key, 4, 2))[:, 0, 0, 0], 2)
        mixed = np.rint(10 * trained.generate(key, 2, [1, 0]))[:, 0, 0, 0]
        np.testing.assert_array_equal(mixed, [1, 0])


def test_the_judge_is_the_one_of_its_folder(tmp_path):
    config = configs.Generation(size=8, judge=tmp_path)
    with pytest.raises(ValueError, match="has no classifier of digits with 8 pixels"):
        judging.named(config)
    stored = {"dataset": "digits", "size": 8, "steps": 60, "batch": 32, "seed": 3}
    Report(tmp_path).write_json("config.json", stored)
    named = judging.named(config)
    assert (named.workdir, named.seed) == (tmp_path, 3)
    assert named.problem == configs.Judging(size=8, steps=60, batch=32)
    new = judging.named(configs.Generation(size=8))
    assert new == configs.Judge(problem=configs.Judging(size=8))
