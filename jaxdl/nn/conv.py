"""Two-dimensional convolution that stays fast when every task has a kernel of its own.

Under `vmap` over kernels, as meta-learning needs it, `flax.linen.Conv` becomes a grouped
convolution, 7 to 17 times slower on a CPU; inside `lax.scan` it is slower still (JAX issue 12868).
Patches and one matrix product give the same numbers and avoid both.

Shapes: B batch, H W image, C channels in, F features out.
"""

from collections.abc import Sequence
from typing import Literal

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

Padding = Literal["SAME", "VALID"]


def patches(
    images: jax.Array, kernel_size: Sequence[int], strides: Sequence[int], padding: Padding
) -> jax.Array:
    """Lays the receptive field of every output pixel along the last axis.

    Args:
      images: [B, H, W, C].
      kernel_size: height and width of the window, in pixels.
      strides: vertical and horizontal step of the window, in pixels.
      padding: "SAME" (zeros so that the output is ceil(H / stride)) or "VALID".

    Returns:
      [B, H', W', kernel_height * kernel_width * C]; channels vary fastest.
    """
    chex.assert_rank(images, 4)
    pads = lax.padtype_to_pads(images.shape[1:3], kernel_size, strides, padding)
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    out = [
        (size - window) // stride + 1
        for size, window, stride in zip(images.shape[1:3], kernel_size, strides, strict=True)
    ]
    taps = []
    for row in range(kernel_size[0]):
        for column in range(kernel_size[1]):
            taps.append(
                lax.slice(
                    images,
                    (0, row, column, 0),
                    (
                        images.shape[0],
                        row + (out[0] - 1) * strides[0] + 1,
                        column + (out[1] - 1) * strides[1] + 1,
                        images.shape[3],
                    ),
                    (1, *strides, 1),
                )
            )
    return jnp.concatenate(taps, axis=-1)


class Conv(nn.Module):
    """Convolution with a bias; the parameters and the result are those of `flax.linen.Conv`."""

    features: int
    """Channels out."""
    kernel_size: tuple[int, int] = (3, 3)
    """Height and width of the kernel, in pixels."""
    strides: tuple[int, int] = (1, 1)
    """Vertical and horizontal step, in pixels."""
    padding: Padding = "SAME"
    """Zeros at the border."""
    use_bias: bool = True
    """Whether a bias is added."""
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    """Initializer of the kernel, [height, width, C, F]."""
    implementation: Literal["patches", "lax"] = "patches"
    """`patches`: patches and one matrix product; `lax`: `jax.lax.conv_general_dilated`."""
    bfloat16: bool = False
    """Round what is multiplied to bfloat16; sums, parameters and the result stay float32."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to [B, H', W', F]."""
        shape = (*self.kernel_size, images.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        if self.bfloat16:
            images, kernel = images.astype(jnp.bfloat16), kernel.astype(jnp.bfloat16)
        if self.implementation == "patches":
            columns = patches(images, self.kernel_size, self.strides, self.padding)
            out = _product(columns, kernel)
        else:
            out = lax.conv_general_dilated(
                images,
                kernel,
                self.strides,
                self.padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                preferred_element_type=jnp.float32,
            )
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (self.features,))
        return out


def _product(columns: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiplies [B, H', W', K] by a kernel of K x F numbers, in the way that XLA's CPU likes best.

    Rows are one axis: with three, the gradient of the kernel begins with a transposed copy of the
    cotangent. The barrier keeps XLA from turning that gradient, [F, K], around, which halves the
    speed of the product when K is larger than F.
    """
    matrix = kernel.reshape(-1, kernel.shape[-1])
    rows = columns.reshape(-1, columns.shape[-1])
    if matrix.shape[0] > matrix.shape[1]:
        transposed = lax.optimization_barrier(matrix.T)
        contraction = (((1,), (1,)), ((), ()))
        out = lax.dot_general(rows, transposed, contraction, preferred_element_type=jnp.float32)
    else:
        out = jnp.matmul(rows, matrix, preferred_element_type=jnp.float32)
    return out.reshape(*columns.shape[:-1], -1)
