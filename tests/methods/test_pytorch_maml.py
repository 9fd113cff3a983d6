"""MAML against PyTorch's numbers, which pytorch_maml.py beside this file made, all in float64.

In float32 five steps already differ by a thousandth: which entry of a window is the largest may
turn on the last digit.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxdl.methods.fewshot import maml
from jaxdl.methods.fewshot.inner import adapt
from jaxdl.methods.fewshot.learner import cross_entropy, outputs
from jaxdl.nn.fewshot import Conv4


@pytest.fixture(scope="module")
def stored():
    with np.load(Path(__file__).with_name("pytorch_maml.npz"), allow_pickle=False) as file:
        return dict(file)


def tree(stored, prefix):
    names = [name for name in stored if name.startswith(prefix)]
    return unflatten_dict(
        {name.removeprefix(prefix): jnp.asarray(stored[name], float) for name in names}, sep="/"
    )


def assert_close(got, expected):
    got, expected = flatten_dict(got, sep="/"), flatten_dict(expected, sep="/")
    assert got.keys() == expected.keys()
    scale = max(np.abs(array).max() for array in expected.values())
    for name, array in expected.items():
        np.testing.assert_allclose(got[name], array, atol=1e-5 * scale, rtol=0, err_msg=name)


@pytest.mark.parametrize(("steps", "order"), [(1, "first"), (5, "second")])
@pytest.mark.parametrize("kind", ["strided", "pooled"])
def test_loss_adapted_parameters_and_gradient(stored, kind, steps, order):
    with jax.enable_x64(True):
        first_order = order == "first"
        network = Conv4(5, features=8, downsampling=kind)
        params = {
            name: tree(stored, f"{kind}/{name}/")
            for name in (
                *(f"{part}_{n}" for part in ("Conv", "Normalise") for n in range(4)),
                "Dense_0",
            )
        }
        task = {
            part: {
                "image": jnp.asarray(stored[f"{part}/image"], float) / 255,
                "label": jnp.asarray(stored[f"{part}/label"]),
            }
            for part in ("support", "query")
        }
        config = maml.Config(inner_lr=0.1, inner_steps=steps, first_order=first_order)
        learner = maml.learner(config, network=network)
        (loss, _), gradient = jax.jit(
            jax.value_and_grad(lambda p: learner.loss(p, (), None, task), has_aux=True)
        )(params)
        case = f"{kind}/{steps}/{order}/"
        np.testing.assert_allclose(loss, stored[case + "loss"], rtol=1e-6)
        assert_close(gradient, tree(stored, case + "gradient/"))

        def support_loss(params, support):
            return cross_entropy(outputs(network, params, support["image"]), support["label"])

        adapted = jax.jit(lambda p: adapt(support_loss, p, task["support"], lr=0.1, steps=steps))(
            params
        )
        assert_close(adapted, tree(stored, case + "adapted/"))
