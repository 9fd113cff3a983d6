"""GANs from the command line to their files, on few steps."""

import jax
import numpy as np
import pytest

from experiments import mnist_features, mnist_gan
from jaxdl.data import images
from jaxdl.train import command, result, run

TINY = ("--network", "mlp", "--steps", "20", "--eval-every", "10", "--batch", "8")
TINY += ("--samples", "300", "--size", "16")


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    argv = ("--workdir", str(folder), "--steps", "80", "--size", "16")
    module = mnist_features
    assert command.run(module.main, module.Config, argv=argv) == 0
    assert result.read(folder / "result.json")["metrics"]["accuracy"]["mean"] > 0.5
    return folder


def started(judge, folder, *argv):
    argv = (*TINY, "--judge", str(judge), "--workdir", str(folder), *argv)
    return command.run(mnist_gan.main, mnist_gan.Config, argv=argv)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--conditional", "--loss", "wasserstein", "--penalty", "wgan_gp", "--critic-updates", "2"),
    ],
)
def test_a_run_is_judged_and_drawn(judge, tmp_path, capsys, options):
    assert started(judge, tmp_path, *options) == 0
    found = result.read(tmp_path / "result.json")
    assert found["protocol"]["judge"] == str(judge)
    metrics = found["metrics"]
    for name in ("frechet_distance", "kernel_distance"):
        # Hardly trained: far above what two sets of real images have.
        assert metrics[name]["mean"] > 2 * metrics[name]["floor"]
    assert 0 <= metrics["class_entropy"]["mean"] <= 2.303
    for name in ("grid", "interpolation", "over_time", "curves"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "samples").glob("*.png"))) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("mnist_gan: Fréchet distance")
    generator = run.restore(tmp_path)
    made = generator.generate(jax.random.key(0), 3)
    assert made.shape == (3, 16, 16, 1)
    assert abs(made).max() <= 1
    assert generator.facts["classes"] == (10 if options else 0)
    (tmp_path / "model.json").unlink()  # as in a run of before there was one
    np.testing.assert_array_equal(run.restore(tmp_path).generate(jax.random.key(0), 3), made)


def test_the_judge_opens_and_says_what_images_show(judge):
    classifier = run.restore(judge)
    data = images.digits()["test"]
    shown = images.resize(data["image"], 16)
    probability = classifier.predict(shown)
    right = (probability.argmax(-1) == data["label"]).mean()
    assert right == result.read(judge / "result.json")["metrics"]["accuracy"]["mean"]
    np.testing.assert_allclose(classifier.predict(shown[:2] / 255), probability[:2], rtol=1e-4)
    assert classifier.features(shown[:2]).shape == (2, 128)


def test_mistakes_are_one_sentence(judge, tmp_path, capsys):
    for argv, message in (
        (("--steps", "15"), "multiples of 10"),
        (("--latent", "0"), "latent and critic_updates must be positive"),
        (("--batch", "0"), "--batch must be positive"),
        (("--size", "28"), "has no classifier of digits with 28 pixels"),
        (("--network", "dcgan", "--judge", "none"), "none has no classifier"),
    ):
        assert started(judge, tmp_path / "new", *argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
