"""Sizes of convolutions and pooling: what comes out, what is seen, and how many parameters.

All of one axis, in pixels (or frames), unless it says otherwise.
"""

import math
from collections.abc import Iterable, Sequence


def output_size(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    ceil: bool = False,
) -> int:
    """Returns the size of what a convolution or a pooling gives.

    The notes let pooling round up and convolution down; as in PyTorch both round down unless asked
    otherwise.

    Args:
      size: of the input.
      kernel: of the kernel or the window.
      stride: step of the window.
      padding: zeros on each side.
      dilation: distance of neighbouring taps of the kernel.
      ceil: round up: a last window may reach over the edge, but must begin before the padding on
        the far side.

    Raises:
      ValueError: the window is larger than the padded input.

    >>> output_size(100, 3, stride=2), output_size(100, 3, stride=2, ceil=True)
    (49, 50)
    """
    span = dilation * (kernel - 1) + 1
    room = size + 2 * padding - span
    if room < 0:
        raise ValueError(
            f"a window of {span} is larger than the input of {size} with {padding} on each side"
        )
    if not ceil:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def transposed_output_size(
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    output_padding: int = 0,
) -> int:
    """Returns the size of what a transposed convolution gives.

    Args:
      size: of the input.
      kernel: of the kernel.
      stride: distance that neighbouring inputs have in the output.
      padding: what is cut off on each side.
      dilation: distance of neighbouring taps of the kernel.
      output_padding: what is added at the far side.

    >>> transposed_output_size(16, 4, stride=2, padding=1)
    32
    """
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding


def receptive_field(layers: Iterable[tuple[int, int, int]]) -> int:
    """Returns how many inputs one output of a stack of layers depends on.

    Args:
      layers: (kernel, stride, dilation) of each convolution or pooling, from the input on.

    >>> receptive_field([(3, 1, 1)] * 3)  # three kernels of 3 see as much as one of 7
    7
    """
    field = jump = 1
    for kernel, stride, dilation in layers:
        field += dilation * (kernel - 1) * jump
        jump *= stride
    return field


def convolution_parameters(
    kernel: Sequence[int], channels: int, features: int, *, groups: int = 1, bias: bool = True
) -> int:
    """Returns the number of parameters of a convolution.

    Args:
      kernel: its size along each axis.
      channels: in.
      features: channels out.
      groups: in which channels and features are divided; `channels` of them for a depthwise one.
      bias: whether there is one.

    >>> convolution_parameters((3, 3), 3, 4, bias=False)
    108
    >>> convolution_parameters((3, 3), 3, 3, groups=3, bias=False) + convolution_parameters(
    ...     (1, 1), 3, 4, bias=False
    ... )  # depthwise, then pointwise
    39
    """
    return math.prod(kernel) * channels // groups * features + bias * features


def dense_parameters(inputs: int, outputs: int, *, bias: bool = True) -> int:
    """Returns the number of parameters of a dense layer.

    >>> convolution_parameters((5, 5), 1, 32) + dense_parameters(512, 10)
    5962
    """
    return inputs * outputs + bias * outputs
