"""The contenders of the benchmark do the same work."""

import json

import pytest

from experiments.benchmarks import gan_step


def test_losses_must_agree():
    losses = {"fused": {"generator_loss": 1.0}, "other": {"generator_loss": 1.001}}
    gan_step.check_equal("DCGAN", losses)
    with pytest.raises(RuntimeError, match="other has generator_loss"):
        gan_step.check_equal("GANomaly", losses)


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_plot(tmp_path, capsys):
    config = gan_step.Config(
        ganomaly_features=(4,),
        dcgan_features=(4,),
        batch=4,
        rounds=1,
        iterations=2,
        workdir=tmp_path,
    )
    gan_step.main(config)  # which compares the losses of GANomaly
    result = json.loads((tmp_path / "result.json").read_text())
    for contenders in result.values():
        assert {"fused", "one a call", "separate"} <= set(contenders)
        assert contenders["fused"]["fused_is_times_faster"]["median"] == 1
    assert (tmp_path / "gan_step.png").stat().st_size > 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"see {tmp_path}")
