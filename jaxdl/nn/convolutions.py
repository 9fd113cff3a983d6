"""Convolutions of other kinds than `jaxdl.nn.conv.Conv`, on the same fast products.

Shapes: B batch, T frames, N H W image or volume, C channels in, F features out.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.nn.conv import Conv, Padding, convolve, taps
from jaxdl.nn.pool import pool

_KERNEL = nn.initializers.lecun_normal()


class DepthwiseConv(nn.Module):
    """Convolves each channel with a kernel of its own (Howard et al., 2017, section 3.1)."""

    kernel_size: tuple[int, int] = (3, 3)
    """Height and width of the kernels, in pixels."""
    strides: tuple[int, int] = (1, 1)
    """Vertical and horizontal step, in pixels."""
    padding: Padding = "SAME"
    """Zeros at the border, see `jaxdl.nn.conv.patches`."""
    use_bias: bool = True
    """Whether a bias is added."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, H', W', C]."""
        channels = images.shape[-1]
        kernel = self.param("kernel", _KERNEL, (*self.kernel_size, 1, channels))
        [seen] = taps(images, self.kernel_size, self.strides, self.padding)
        out = sum(
            tap * weight for tap, weight in zip(seen, kernel.reshape(-1, channels), strict=True)
        )
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (channels,))
        return out


class SeparableConv(nn.Module):
    """A depthwise convolution, and a pointwise one that mixes its channels (Howard et al., 2017).

    With 3 x 3 kernels from 3 to 4 channels, without biases, these are 27 + 12 parameters, where a
    full convolution has 108.
    """

    features: int
    """F."""
    kernel_size: tuple[int, int] = (3, 3)
    """Height and width of the depthwise kernels, in pixels."""
    strides: tuple[int, int] = (1, 1)
    """Vertical and horizontal step, in pixels."""
    use_bias: bool = True
    """Whether each of the two adds a bias."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, H', W', F]."""
        depthwise = DepthwiseConv(self.kernel_size, self.strides, use_bias=self.use_bias)
        return Conv(self.features, (1, 1), use_bias=self.use_bias)(depthwise(images))


class Conv1D(nn.Module):
    """Convolution over time; parameters and result are those of `flax.linen.Conv`."""

    features: int
    """F."""
    kernel_size: int = 3
    """In frames."""
    stride: int = 1
    """In frames."""
    padding: Literal["SAME", "VALID", "CAUSAL"] = "SAME"
    """Zeros at both ends, none, or as many before the first frame that no output sees a later
    one."""
    dilation: int = 1
    """Distance of neighbouring taps, in frames."""
    use_bias: bool = True
    """Whether a bias is added."""

    @nn.compact
    def __call__(self, sequences: jax.Array) -> jax.Array:
        """Maps [B, T, C] to [B, T', F]."""
        shape = (self.kernel_size, sequences.shape[-1], self.features)
        kernel = self.param("kernel", _KERNEL, shape)
        padding = self.padding
        if padding == "CAUSAL":
            before = self.dilation * (self.kernel_size - 1)
            sequences, padding = jnp.pad(sequences, ((0, 0), (before, 0), (0, 0))), "VALID"
        out = convolve(
            sequences[:, None],
            kernel[None],
            (1, self.stride),
            padding,
            dilation=(1, self.dilation),
        )[:, 0]
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (self.features,))
        return out


class Conv3D(nn.Module):
    """Convolution of volumes or films; parameters and result are those of `flax.linen.Conv`."""

    features: int
    """F."""
    kernel_size: tuple[int, int, int] = (3, 3, 3)
    """Along N, H and W."""
    strides: tuple[int, int, int] = (1, 1, 1)
    """Along N, H and W."""
    padding: Literal["SAME", "VALID"] = "SAME"
    """Zeros at the border."""
    use_bias: bool = True
    """Whether a bias is added."""

    @nn.compact
    def __call__(self, volumes: jax.Array) -> jax.Array:
        """Maps [B, N, H, W, C] to [B, N', H', W', F]."""
        batch, size, *_, channels = volumes.shape
        depth, *plane = self.kernel_size
        kernel = self.param("kernel", _KERNEL, (depth, *plane, channels, self.features))
        # The planes that a kernel sees become channels of one plane.
        pads = jax.lax.padtype_to_pads((size,), (depth,), self.strides[:1], self.padding)
        volumes = jnp.pad(volumes, ((0, 0), *pads, (0, 0), (0, 0), (0, 0)))
        step = self.strides[0]
        count = (volumes.shape[1] - depth) // step + 1
        planes = [
            volumes[:, first : first + count * step : step][:, :count] for first in range(depth)
        ]
        stacked = jnp.concatenate(planes, -1)
        out = convolve(
            stacked.reshape(batch * count, *stacked.shape[2:]),
            jnp.moveaxis(kernel, 0, 2).reshape(*plane, depth * channels, self.features),
            self.strides[1:],
            self.padding,
        )
        out = out.reshape(batch, count, *out.shape[1:])
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (self.features,))
        return out


class Inception(nn.Module):
    """Four views of the same input side by side (Szegedy et al., 2015, figure 2b).

    1 x 1 convolutions mix channels for each pixel, as a dense layer would, and keep the larger
    kernels cheap; every convolution is followed by ReLU.
    """

    one: int
    """Channels of the 1 x 1 convolution."""
    three: tuple[int, int]
    """Channels of the 3 x 3 convolution: before and after."""
    five: tuple[int, int]
    """Channels of the 5 x 5 convolution: before and after."""
    pooled: int
    """Channels of the 1 x 1 convolution of the largest of 3 x 3 pixels."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, H, W, one + three[1] + five[1] + pooled]."""

        def conv(features, side, inputs):
            return nn.relu(Conv(features, (side, side))(inputs))

        branches = [
            conv(self.one, 1, images),
            conv(self.three[1], 3, conv(self.three[0], 1, images)),
            conv(self.five[1], 5, conv(self.five[0], 1, images)),
            conv(self.pooled, 1, pool(images, 3, stride=1, padding=1)),
        ]
        return jnp.concatenate(branches, -1)
