import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.norm import BatchNorm


def test_by_hand():
    # Mean 3, variance 4: (1 - 3) / 2 = -1 and (5 - 3) / 2 = 1.
    module = BatchNorm(momentum=0.0, epsilon=0.0)
    out, state = module.init_with_output(jax.random.key(0), jnp.array([[1.0], [5.0]]))
    np.testing.assert_allclose(out, [[-1], [1]])
    assert state["batch_stats"] == {"mean": 0, "var": 1}  # initialising is not a call
    params = {"params": {"scale": jnp.array([2.0]), "bias": jnp.array([7.0])}}
    out, state = module.apply(params, jnp.array([[1.0], [5.0]]), mutable=["batch_stats"])
    np.testing.assert_allclose(out, [[5], [9]])
    np.testing.assert_allclose(state["batch_stats"]["mean"], [3])
    np.testing.assert_allclose(state["batch_stats"]["var"], [4])


@pytest.mark.parametrize("use_running_average", [False, True])
def test_equals_flax_in_value_statistics_gradient_and_second_derivative(use_running_average):
    ours = BatchNorm(momentum=0.9, epsilon=1e-3)
    reference = nn.BatchNorm(momentum=0.9, epsilon=1e-3)
    inputs = 2 + 3 * jax.random.normal(jax.random.key(0), (4, 3, 5, 6))
    variables = {
        "params": {"scale": jnp.linspace(0.5, 2, 6), "bias": jnp.linspace(-1, 1, 6)},
        "batch_stats": {"mean": jnp.linspace(1, 2, 6), "var": jnp.linspace(0.5, 3, 6)},
    }

    def value(module, params, inputs):
        out, state = module.apply(
            variables | {"params": params},
            inputs,
            use_running_average=use_running_average,
            mutable=["batch_stats"],
        )
        return jnp.sin(out).sum(), (out, state["batch_stats"])

    def first(module, params, inputs):
        return jax.grad(value, (1, 2), has_aux=True)(module, params, inputs)

    def second(module, params, inputs):
        def norm(params, inputs):
            gradient, _ = first(module, params, inputs)
            return sum(jnp.sum(g**2) for g in jax.tree.leaves(gradient))

        return jax.grad(norm, (0, 1))(params, inputs)

    for function in (first, second):
        expected = jax.jit(function, static_argnums=0)(reference, variables["params"], inputs)
        got = jax.jit(function, static_argnums=0)(ours, variables["params"], inputs)
        assert jax.tree.structure(got) == jax.tree.structure(expected)
        jax.tree.map(
            lambda g, e: np.testing.assert_allclose(g, e, atol=1e-5 * np.abs(e).max()),
            got,
            expected,
        )


def test_a_constant_channel_gives_the_bias():
    out, _ = BatchNorm().init_with_output(jax.random.key(0), jnp.full((8, 1), 1000.1))
    assert jnp.isfinite(out).all()
    np.testing.assert_allclose(out, 0, atol=0.5)
