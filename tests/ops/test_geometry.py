"""The calculators against real layers."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.conv import Conv
from jaxdl.nn.conv_transpose import ConvTranspose
from jaxdl.nn.convolutions import SeparableConv
from jaxdl.nn.pool import pool
from jaxdl.ops import geometry


def count(module, inputs):
    variables = jax.eval_shape(module.init, jax.random.key(0), inputs)
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    list(itertools.product((9, 12), (1, 3, 4), (1, 2), (0, 1), (1, 2))),
)
def test_output_sizes(size, kernel, stride, padding, dilation):
    options = {"stride": stride, "padding": padding}
    inputs = jnp.zeros((1, size, size, 1))
    conv = Conv(1, (kernel,) * 2, (stride,) * 2, padding, (dilation,) * 2)
    shape = jax.eval_shape(lambda: conv.init_with_output(jax.random.key(0), inputs)[0]).shape
    assert shape[1] == geometry.output_size(size, kernel, dilation=dilation, **options)
    if 2 * padding <= kernel:
        for ceil in (False, True):
            pooled = jax.eval_shape(lambda c=ceil: pool(inputs, kernel, ceil=c, **options)).shape
            assert pooled[1] == geometry.output_size(size, kernel, ceil=ceil, **options)


def test_a_transposed_convolution_and_its_size():
    inputs = jnp.zeros((1, 16, 16, 1))
    out, _ = ConvTranspose(1).init_with_output(jax.random.key(0), inputs)
    assert out.shape[1] == geometry.transposed_output_size(16, 4, stride=2, padding=1) == 32
    # What one makes of the other's output is the input's size again, but for what was rounded off.
    for size, kernel, stride, padding in itertools.product((7, 8), (2, 3), (1, 2), (0, 1)):
        options = {"stride": stride, "padding": padding}
        small = geometry.output_size(size, kernel, **options)
        lost = (size + 2 * padding - kernel) % stride
        assert size == geometry.transposed_output_size(
            small, kernel, output_padding=lost, **options
        )


def test_a_receptive_field_is_what_the_gradient_reaches():
    layers = [(3, 1, 1), (2, 2, 1), (3, 1, 2), (3, 2, 1)]

    def stack(row):
        signal = row[None, :, None, None]
        for kernel, stride, dilation in layers:
            conv = Conv(1, (kernel, 1), (stride, 1), "VALID", (dilation, 1))
            signal = conv.apply(
                {"params": {"kernel": jnp.ones((kernel, 1, 1, 1)), "bias": jnp.zeros(1)}}, signal
            )
        return signal[0, 1, 0, 0]

    reached = np.flatnonzero(jax.grad(stack)(jnp.ones(64)))
    assert len(reached) == np.ptp(reached) + 1 == geometry.receptive_field(layers)


def test_parameters():
    inputs = jnp.zeros((1, 9, 9, 3))
    assert count(Conv(4), inputs) == geometry.convolution_parameters((3, 3), 3, 4) == 112
    assert count(SeparableConv(4, use_bias=False), inputs) == 27 + 12
    assert geometry.convolution_parameters((5, 5), 1, 32) == 832
    assert geometry.dense_parameters(512, 10) == 5130


def test_a_window_larger_than_the_input_is_refused():
    with pytest.raises(ValueError, match="a window of 5 is larger than the input of 2"):
        geometry.output_size(2, 3, padding=1, dilation=2)
