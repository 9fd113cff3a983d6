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
import numpy as np
from jax import lax

from jaxdl.nn.pool import largest, max_pool

Padding = Literal["SAME", "VALID"] | int


def patches(
    images: jax.Array, kernel_size: Sequence[int], strides: Sequence[int], padding: Padding
) -> jax.Array:
    """Lays the receptive field of every output pixel along the last axis.

    Args:
      images: [B, H, W, C].
      kernel_size: height and width of the window, in pixels.
      strides: vertical and horizontal step of the window, in pixels.
      padding: "SAME" (zeros so that the output is ceil(H / stride)), "VALID", or how many rows and
        columns of zeros are added on each side.

    Returns:
      [B, H', W', kernel_height * kernel_width * C]; channels vary fastest.
    """
    return jnp.concatenate(taps(images, kernel_size, strides, padding)[0], axis=-1)


def _pads(
    size: Sequence[int], span: Sequence[int], strides: Sequence[int], padding: Padding
) -> Sequence[tuple[int, int]]:
    """Returns the zeros before and after each of the two axes."""
    if isinstance(padding, int):
        return ((padding, padding),) * 2
    return lax.padtype_to_pads(size, span, strides, padding)


def taps(
    images: jax.Array,
    kernel_size: Sequence[int],
    strides: Sequence[int],
    padding: Padding,
    *,
    dilation: Sequence[int] = (1, 1),
    window: int = 1,
) -> list[list[jax.Array]]:
    """Returns what every tap of the kernel sees, each [B, H' // window, W' // window, C].

    There is a list of taps for each place in the windows by which the output is divided.
    """
    chex.assert_rank(images, 4)
    span = [rate * (width - 1) + 1 for rate, width in zip(dilation, kernel_size, strict=True)]
    pads = _pads(images.shape[1:3], span, strides, padding)
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    counts = [
        ((size - width) // stride + 1) // window
        for size, width, stride in zip(images.shape[1:3], span, strides, strict=True)
    ]

    # With windows, cut into the pixels that are `steps` apart first: the gradient of a slice with a
    # step is as large as the image, and there are many slices. Without, the cut costs more.
    steps = [stride * window for stride in strides]
    cut, step = (steps, (1, 1)) if window > 1 else ((1, 1), steps)
    grids = {
        (row, column): images[:, row :: cut[0], column :: cut[1]]
        for row, column in np.ndindex(*cut)
    }

    def tap(row, column):
        first = row // cut[0], column // cut[1]
        last = [f + (c - 1) * s + 1 for f, c, s in zip(first, counts, step, strict=True)]
        size, channels = images.shape[0], images.shape[3]
        grid = grids[row % cut[0], column % cut[1]]
        return lax.slice(grid, (0, *first, 0), (size, *last, channels), (1, *step, 1))

    return [
        [
            tap(
                place[0] * strides[0] + row * dilation[0],
                place[1] * strides[1] + column * dilation[1],
            )
            for row, column in np.ndindex(*kernel_size)
        ]
        for place in np.ndindex(window, window)
    ]


class Conv(nn.Module):
    """Convolution with a bias; the parameters and the result are those of `flax.linen.Conv`."""

    features: int
    """Channels out."""
    kernel_size: tuple[int, int] = (3, 3)
    """Height and width of the kernel, in pixels."""
    strides: tuple[int, int] = (1, 1)
    """Vertical and horizontal step, in pixels."""
    padding: Padding = "SAME"
    """Zeros at the border, see `patches`."""
    dilation: tuple[int, int] = (1, 1)
    """Distance of neighbouring taps of the kernel (Yu and Koltun, 2016), in pixels."""
    use_bias: bool = True
    """Whether a bias is added."""
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    """Initializer of the kernel, [height, width, C, F]."""
    implementation: Literal["patches", "lax"] = "patches"
    """`patches`: patches and one matrix product; `lax`: `jax.lax.conv_general_dilated`."""
    max_pool: int = 1
    """Side of windows of whose values only the largest is left: what `jaxdl.nn.pool.max_pool` makes
    of the result, with a faster gradient."""
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
            out = convolve(
                images,
                kernel,
                self.strides,
                self.padding,
                dilation=self.dilation,
                window=self.max_pool,
            )
        else:
            out = lax.conv_general_dilated(
                images,
                kernel,
                self.strides,
                [(self.padding,) * 2] * 2 if isinstance(self.padding, int) else self.padding,
                rhs_dilation=self.dilation,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
                preferred_element_type=jnp.promote_types(images.dtype, jnp.float32),
            )
            out = max_pool(out, self.max_pool)
        if self.use_bias:
            out = out + self.param("bias", nn.initializers.zeros, (self.features,))
        return out


def convolve(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Padding,
    *,
    dilation: Sequence[int] = (1, 1),
    window: int = 1,
) -> jax.Array:
    """Convolves by patches and one matrix product.

    Args:
      images: [B, H, W, C].
      kernel: [height, width, C, F].
      strides: vertical and horizontal step, in pixels.
      padding: see `patches`.
      dilation: distance of neighbouring taps, in pixels.
      window: side of windows of whose values only the largest is left.

    Returns:
      [B, H' // window, W' // window, F].
    """
    places = taps(images, kernel.shape[:2], strides, padding, dilation=dilation, window=window)
    return _product(places, kernel)


def _product(places: list[list[jax.Array]], kernel: jax.Array) -> jax.Array:
    """Returns the largest, over places, of the product of their taps and the kernel.

    Rows are one axis: with three, the gradient of the kernel begins with a transposed copy of the
    cotangent. The barrier keeps XLA from turning that gradient, [F, K], around, which halves the
    speed of the product when K is larger than F.
    """
    batch, height, width, _ = places[0][0].shape
    features = kernel.shape[-1]
    kind = jnp.promote_types(kernel.dtype, jnp.float32)  # of the sums
    matrix = kernel.reshape(-1, features)
    if kernel.shape[2] == 1:
        # [K, rows]: a copy of one number at a time, along the last axis, would be slow.
        columns = jnp.stack([jnp.stack(tap, 1) for tap in zip(*places, strict=True)])
        columns = columns.reshape(len(columns), -1)
        contraction = (((0,), (0,)), ((), ()))
        out = lax.dot_general(matrix, columns, contraction, preferred_element_type=kind)
        if len(places) > 1:
            out = largest(out.reshape(features, batch, len(places), -1), 2)
        return out.reshape(features, -1).T.reshape(batch, height, width, features)
    rows = jnp.stack([jnp.concatenate(taps, -1) for taps in places], 1)
    rows = rows.reshape(-1, rows.shape[-1])
    if matrix.shape[0] > matrix.shape[1]:
        transposed = lax.optimization_barrier(matrix.T)
        contraction = (((1,), (1,)), ((), ()))
        out = lax.dot_general(rows, transposed, contraction, preferred_element_type=kind)
    else:
        out = jnp.matmul(rows, matrix, preferred_element_type=kind)
    if len(places) > 1:
        out = largest(out.reshape(batch, len(places), -1, features), 1)
    return out.reshape(batch, height, width, features)
