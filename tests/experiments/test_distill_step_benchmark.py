"""The contenders of the benchmark do the same work."""

import json

import pytest

from experiments.benchmarks import distill_step


def test_losses_must_agree():
    distill_step.check_equal({"live": 1.0, "cached": 1.00001})
    with pytest.raises(RuntimeError, match="other has loss"):
        distill_step.check_equal({"live": 1.0, "other": 1.001})


@pytest.mark.slow
def test_the_command_writes_numbers(tmp_path, capsys):
    config = distill_step.Config(batch=16, members=2, rounds=1, steps=2, workdir=tmp_path)
    distill_step.main(config)  # which compares the losses
    result = json.loads((tmp_path / "result.json").read_text())
    assert len(result) == 4
    for contenders in result.values():
        [first] = {"live", "one step"} & contenders.keys()
        assert contenders[first][f"{first}_is_times_faster"]["median"] == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"see {tmp_path}")
