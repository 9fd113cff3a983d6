"""Other convolutions are those of Flax, with its parameters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.convolutions import Conv1D, Conv3D, DepthwiseConv, Inception, SeparableConv


def same(ours, flaxs, inputs):
    """Checks values and gradients with the same parameters."""
    params = flaxs.init(jax.random.key(1), inputs)
    params = jax.tree.map(lambda p: p + 0.1, params)  # the bias too
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(
        jnp.shape, ours.init(jax.random.key(1), inputs)
    )

    def of(module):
        def value(params, inputs):
            return jnp.sin(module.apply(params, inputs)).sum()

        return jax.jit(module.apply)(params, inputs), jax.jit(jax.grad(value, (0, 1)))(
            params, inputs
        )

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), of(ours), of(flaxs)
    )


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_depthwise(strides):
    inputs = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    same(DepthwiseConv(strides=strides), nn.Conv(3, (3, 3), strides, feature_group_count=3), inputs)


@pytest.mark.parametrize("padding", ["SAME", "VALID", "CAUSAL"])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_one_dimension(padding, stride, dilation):
    inputs = jax.random.normal(jax.random.key(0), (2, 11, 3))
    ours = Conv1D(4, stride=stride, padding=padding, dilation=dilation)
    flaxs = nn.Conv(4, (3,), (stride,), padding, kernel_dilation=(dilation,))
    same(ours, flaxs, inputs)


def test_a_causal_convolution_does_not_see_what_comes():
    module, inputs = Conv1D(2, padding="CAUSAL", dilation=2), jnp.ones((1, 9, 1))
    params = module.init(jax.random.key(0), inputs)
    slope = jax.jacobian(lambda x: module.apply(params, x)[0, 4].sum())(inputs)[0, :, 0]
    np.testing.assert_array_equal(np.flatnonzero(slope), [0, 2, 4])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 1, 2)])
def test_three_dimensions(padding, strides):
    inputs = jax.random.normal(jax.random.key(0), (2, 5, 6, 7, 3))
    same(
        Conv3D(4, (3, 2, 3), strides, padding),
        nn.Conv(4, (3, 2, 3), strides, padding),
        inputs,
    )


def test_a_separable_convolution_is_both_in_turn():
    inputs = jax.random.normal(jax.random.key(0), (1, 5, 5, 3))
    module = SeparableConv(4, use_bias=False)
    out, variables = module.init_with_output(jax.random.key(1), inputs)
    assert out.shape == (1, 5, 5, 4)
    params = variables["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 39
    # A full convolution with the outer products of the kernels is the same.
    full = params["DepthwiseConv_0"]["kernel"][:, :, 0, :, None] * params["Conv_0"]["kernel"][0]
    expected = nn.Conv(4, (3, 3), use_bias=False).apply({"params": {"kernel": full}}, inputs)
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_inception_has_googlenets_parameters():
    module = Inception(64, (96, 128), (16, 32), 32)  # 3a of Szegedy et al., table 1
    out, variables = jax.eval_shape(
        module.init_with_output, jax.random.key(0), jnp.zeros((1, 28, 28, 192))
    )
    assert out.shape == (1, 28, 28, 256)
    # 159 thousand in the table; exactly 163,328 and 368 biases
    assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == 163_696


def test_a_pointwise_convolution_is_a_dense_layer_of_each_pixel():
    inputs = jax.random.normal(jax.random.key(0), (1, 3, 3, 2))
    module = Inception(3, (1, 1), (1, 1), 1)
    out, variables = module.init_with_output(jax.random.key(1), inputs)
    conv = variables["params"]["Conv_0"]
    expected = nn.relu(inputs @ conv["kernel"][0, 0] + conv["bias"])
    np.testing.assert_allclose(out[..., :3], expected, atol=1e-6)
