import json

import jax
import numpy as np
import pytest

from experiments import sinusoid_maml
from jaxdl.data.sinusoids import sample_sinusoid
from jaxdl.train import command


def test_points_lie_on_the_wave():
    for seed in range(5):
        task = sample_sinusoid(jax.random.key(seed), 3, 4)
        assert 0.1 <= task["amplitude"] <= 5
        assert 0 <= task["phase"] <= np.pi
        for part, count in (("support", 3), ("query", 4)):
            x, y = task[part]["x"], task[part]["y"]
            assert x.shape == y.shape == (count, 1)
            assert np.abs(x).max() <= 5
            expected = task["amplitude"] * np.sin(x - task["phase"])
            np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.slow
def test_meta_learning_beats_training_on_all_waves(tmp_path, capsys):
    argv = ["--workdir", str(tmp_path), "--steps", "3000", "--tasks", "100"]
    assert command.run(sinusoid_maml.main, sinusoid_maml.Config, argv=argv) == 0
    assert {"config.json", "result.json", "fit.png"} <= {f.name for f in tmp_path.iterdir()}
    metrics = json.loads((tmp_path / "result.json").read_text())["metrics"]
    names = [f"squared_error/{learner}/after_1_steps" for learner in sinusoid_maml.LEARNERS]
    ours, other = (metrics[name] for name in names)
    assert ours["mean"] + ours["ci95"] < other["mean"]
    assert str(tmp_path) in capsys.readouterr().out.splitlines()[-1]
    assert command.run(sinusoid_maml.main, sinusoid_maml.Config, argv=[*argv, "--shot", "0"]) == 2
    assert "--shot must be positive" in capsys.readouterr().err
