"""GANs from the command line to their files, on few steps."""

import json

import pytest

from experiments import mnist_features, mnist_gan
from jaxdl.train import command

TINY = ("--network", "mlp", "--steps", "20", "--eval-every", "10", "--batch", "8")
TINY += ("--samples", "300", "--size", "16")


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judge")
    argv = ("--workdir", str(folder), "--steps", "80", "--size", "16")
    module = mnist_features
    assert command.run(module.main, module.Config, argv=argv) == 0
    assert json.loads((folder / "result.json").read_text())["metrics"]["accuracy"]["mean"] > 0.5
    return folder


def run(judge, folder, *argv):
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
    assert run(judge, tmp_path, *options) == 0
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    for name in ("frechet_distance", "kernel_distance"):
        # Hardly trained: far above what two sets of real images have.
        assert metrics[name]["mean"] > 2 * metrics[name]["floor"]
    assert 0 <= metrics["class_entropy"]["mean"] <= 2.303
    for name in ("grid", "interpolation", "over_time", "curves"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "samples").glob("*.png"))) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("mnist_gan: Fréchet distance")


def test_mistakes_are_one_sentence(judge, tmp_path, capsys):
    for argv, message in (
        (("--steps", "15"), "multiples of 10"),
        (("--latent", "0"), "latent and critic_updates must be positive"),
        (("--batch", "0"), "--batch must be positive"),
        (("--size", "28"), "has no classifier of digits with 28 pixels"),
    ):
        assert run(judge, tmp_path / "new", *argv) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
