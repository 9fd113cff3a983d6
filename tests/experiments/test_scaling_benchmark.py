import json

import pytest

from experiments.benchmarks import scaling


def test_projection_by_hand():
    machine = scaling.Machine("4", (2, 2), peak=1e12, bandwidth=1e9, latency=1e-6, utilisation=0.5)
    # 1e9 / 0.5e12 s; 2 * 3 / 4 * 1e6 / 1e9 s and 2 + 2 hops
    found = scaling.project(machine, 1e9, 1e6)
    assert found["compute_s"] == pytest.approx(2e-3)
    assert found["share_s"] == pytest.approx(1.504e-3)
    assert found["efficiency"] == pytest.approx(2 / 3.504)


@pytest.mark.slow
def test_an_outer_step_adds_up_gradients_once_and_gathers_no_images(tmp_path, capsys):
    config = scaling.Config(
        devices=(1, 2, 4), tasks=4, rounds=1, two_processes=True, workdir=tmp_path
    )
    scaling.main(config)
    result = json.loads((tmp_path / "result.json").read_text())
    one = result["strong"]["1"]
    for kind in ("strong", "weak"):
        for name in ("2", "4", "2 x 2"):
            row = result[kind][name]
            assert row["collectives"]["all-reduce"] == 1
            # 113,221 parameters of 4 bytes and some metrics; the random numbers of the sampling
            assert 4 * 113_221 <= row["bytes"] < 4 * 113_221 + 20_000
    assert one["bytes"] <= 4 * 113_221 + 20_000
    assert "efficiency" in capsys.readouterr().out
