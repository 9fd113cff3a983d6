"""Two-dimensional transposed convolution as one matrix product and a few sums.

XLA:CPU computes a transposed convolution as one over an image with zeros between its pixels; here
nothing is multiplied by them.

Shapes: B batch, H W image, C channels in, F features out, k kernel, s stride.
"""

from collections.abc import Sequence
from typing import Any

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class ConvTranspose(nn.Module):
    """Transposed convolution: each pixel adds its multiple of the kernel to the output.

    That is `torch.nn.ConvTranspose2d` with the kernel as [k, k, C, F]; for the same kernel
    `flax.linen.ConvTranspose(transpose_kernel=False)` turns it by 180 degrees.
    """

    features: int
    """Channels out."""
    kernel_size: tuple[int, int] = (4, 4)
    """Height and width of the kernel, in pixels."""
    strides: tuple[int, int] = (2, 2)
    """Vertical and horizontal distance of two pixels' kernels in the output, in pixels."""
    crop: int = 1
    """Pixels that are cut off on every side (`padding` in PyTorch)."""
    use_bias: bool = True
    """Whether a bias is added."""
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    """Initializer of the kernel, [height, width, C, F]."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, (H - 1) s + k - 2 crop, (W - 1) s + k - 2 crop, F]."""
        chex.assert_rank(images, 4)
        shape = (*self.kernel_size, images.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        out = conv_transpose(images, kernel, self.strides)
        if self.crop:
            out = out[:, self.crop : -self.crop, self.crop : -self.crop]
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (self.features,))
        return out


def conv_transpose(images: jax.Array, kernel: jax.Array, strides: Sequence[int]) -> jax.Array:
    """Adds up, for every pixel of the images, the kernel that it multiplies.

    Args:
      images: [B, H, W, C].
      kernel: [k, k, C, F].
      strides: vertical and horizontal distance of two pixels' kernels in the output, in pixels.

    Returns:
      [B, (H - 1) s + k, (W - 1) s + k, F].
    """
    batch, height, width, channels = images.shape
    *size, _, features = kernel.shape
    # The kernel as n x m blocks of the size of a stride: blocks of one place never overlap.
    blocks = [-(-k // s) for k, s in zip(size, strides, strict=True)]
    fill = [(0, n * s - k) for n, s, k in zip(blocks, strides, size, strict=True)]
    kernel = jnp.pad(kernel, (*fill, (0, 0), (0, 0)))
    kernel = kernel.reshape(blocks[0], strides[0], blocks[1], strides[1], channels, features)
    matrix = kernel.transpose(4, 0, 2, 1, 3, 5).reshape(channels, -1)
    product = jnp.matmul(images.reshape(-1, channels), matrix)
    product = product.reshape(batch, height, width, *blocks, *strides, features)
    total: Any = 0.0
    for row, column in np.ndindex(*blocks):
        edges = ((row, blocks[0] - 1 - row), (column, blocks[1] - 1 - column))
        block = product[:, :, :, row, column]
        total += jnp.pad(block, ((0, 0), *edges, (0, 0), (0, 0), (0, 0)))
    out = total.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, total.shape[1] * strides[0], total.shape[2] * strides[1], features
    )
    rows, columns = (
        (n - 1) * s + k for n, s, k in zip((height, width), strides, size, strict=True)
    )
    return lax.slice(out, (0, 0, 0, 0), (batch, rows, columns, features))
