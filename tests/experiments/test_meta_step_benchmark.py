"""The contenders of the benchmark do the same work."""

import dataclasses
import json

import numpy as np
import pytest

from experiments.benchmarks import classifier, contenders, meta_step, timing


def test_work_by_hand():
    # Multiply-adds of an image: 14*14*9*64 in the first layer, then 7*7, 4*4 and 2*2 times 9*64*64,
    # and 256*5; two products in the first layer, three in the others.
    first, rest = 112_896, (49 + 16 + 4) * 36_864 + 1_280
    query = 2 * (2 * first + 3 * rest)
    setting = contenders.Setting(way=5, queries=15, inner_steps=2)
    assert contenders.flop_per_task(setting) == query * (75 + 3 * 2 * 5)
    first_order = dataclasses.replace(setting, first_order=True)
    assert contenders.flop_per_task(first_order) == query * (75 + 2 * 5)


def test_ratios_are_taken_within_a_round():
    # The machine is ten times slower in the second round, for both.
    seconds = {"a": [1.0, 10.0, 1.0], "b": [2.0, 20.0, 3.0]}
    assert timing.times_faster(seconds, "a", "b") == {"median": 2, "min": 2, "max": 3}


@pytest.mark.slow
@pytest.mark.parametrize(("first_order", "steps"), [(False, 1), (True, 2)])
def test_naive_network_and_pytorch_agree_with_ours(first_order, steps):
    setting = contenders.Setting(queries=2, inner_steps=steps, tasks=2, first_order=first_order)
    params, batch = contenders.problem(setting)
    ours = contenders.jax_step(setting, params, batch)()
    others = {"naive": contenders.jax_step(setting, params, batch, naive=True)()}
    try:
        from experiments.benchmarks import torch_peers
    except ImportError:
        pass  # the naive network remains
    else:
        peers = torch_peers.meta_steps(
            params, batch, lr=contenders.INNER_LR, steps=steps, first_order=first_order
        )
        others |= {name: step() for name, step in peers.items() if not isinstance(step, str)}
    contenders.check_equal({"ours": ours, **others})
    with pytest.raises(RuntimeError, match="wrong has loss"):
        contenders.check_equal({"ours": ours, "wrong": (1.001 * ours[0], ours[1])})


@pytest.mark.slow
def test_the_classifier_has_the_parameters_and_the_loss_of_its_naive_form():
    images, labels = classifier.batch(32)
    runs = [
        classifier.jax_step(images, labels, steps, naive=naive)
        for steps, naive in ((1, False), (2, False), (1, True))
    ]
    first = [run() for run in runs]
    np.testing.assert_allclose(first, first[0], rtol=1e-5)
    np.testing.assert_allclose(runs[0](), runs[2](), rtol=1e-4)  # after one step
    import jax

    shapes = jax.eval_shape(classifier.Net().init, jax.random.key(0), images)
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 30_074


@pytest.mark.slow
def test_the_command_writes_numbers_and_a_plot(tmp_path, capsys):
    config = meta_step.Config(parts=("sampling",), tasks=2, rounds=1, workdir=tmp_path)
    meta_step.main(config)
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["sampling"]["images_per_s"]["median"] > 0
    assert (tmp_path / "meta_step.png").stat().st_size > 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"see {tmp_path}")
