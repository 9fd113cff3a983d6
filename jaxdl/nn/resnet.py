"""Residual networks (He et al., 2016, arXiv 1512.03385), with squeeze-and-excitation if wanted.

`train` is as in `jaxdl.nn.classify`.

Shapes: B batch, H W image, C channels, A classes.
"""

from functools import partial
from typing import Literal

import flax.linen as nn
import jax

from jaxdl.nn.conv import Conv
from jaxdl.nn.norm import BatchNorm
from jaxdl.nn.pool import pool

_Conv = partial(
    Conv,
    use_bias=False,
    kernel_init=nn.initializers.variance_scaling(2.0, "fan_out", "truncated_normal"),
)
_BatchNorm = partial(BatchNorm, momentum=0.9)


class SqueezeExcitation(nn.Module):
    """Scales each channel by what the mean of all channels says (Hu et al., 2018, figure 3)."""

    reduction: int = 16
    """By how much its hidden layer is smaller than C."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps [B, H, W, C] to the same shape."""
        channels = images.shape[-1]
        hidden = nn.relu(nn.Dense(channels // self.reduction)(images.mean((1, 2))))
        return images * nn.sigmoid(nn.Dense(channels)(hidden))[:, None, None]


class Block(nn.Module):
    """Two 3 x 3 convolutions, or a bottleneck of three, added to the input (figure 5)."""

    features: int
    """Channels of the 3 x 3 convolutions; a bottleneck puts out four times as many."""
    stride: int = 1
    """Of the block, in the first 3 x 3 convolution."""
    bottleneck: bool = False
    """Whether 1 x 1 convolutions make the channels fewer and more again."""
    squeeze: int = 0
    """Reduction of squeeze-and-excitation before the sum; 0 for none."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to [B, H / stride, W / stride, C'].

        A 1 x 1 convolution brings the input to the shape of the output when it has another.
        """

        def conv(features, side, stride, inputs):
            out = _Conv(features, (side, side), (stride, stride), padding=side // 2)(inputs)
            return _BatchNorm()(out, use_running_average=not train)

        if self.bottleneck:
            hidden = nn.relu(conv(self.features, 1, 1, images))
            hidden = nn.relu(conv(self.features, 3, self.stride, hidden))
            hidden = conv(4 * self.features, 1, 1, hidden)
        else:
            hidden = nn.relu(conv(self.features, 3, self.stride, images))
            hidden = conv(self.features, 3, 1, hidden)
        if self.squeeze:
            hidden = SqueezeExcitation(self.squeeze)(hidden)
        if images.shape != hidden.shape:
            images = conv(hidden.shape[-1], 1, self.stride, images)
        return nn.relu(hidden + images)


class ResNet(nn.Module):
    """Residual blocks in stages, each with twice the channels at half the size of the one before.

    The defaults are those of ResNet-18; see `resnet`.
    """

    stages: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks of each stage."""
    bottleneck: bool = False
    """Of every block."""
    classes: int = 1000
    """A."""
    features: int = 64
    """Channels of the first stage."""
    stem: Literal["large", "small"] = "large"
    """`large`: a 7 x 7 convolution and a pooling, which make the image four times smaller; `small`:
    a 3 x 3 convolution, for images of 32 pixels (section 4.2)."""
    squeeze: int = 0
    """See `Block`."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to logits [B, A]."""
        if self.stem == "large":
            hidden = _Conv(self.features, (7, 7), (2, 2), padding=3)(images)
        else:
            hidden = _Conv(self.features)(images)
        hidden = nn.relu(_BatchNorm()(hidden, use_running_average=not train))
        if self.stem == "large":
            hidden = pool(hidden, 3, stride=2, padding=1)
        for stage, blocks in enumerate(self.stages):
            for index in range(blocks):
                stride = 2 if stage and not index else 1
                block = Block(self.features * 2**stage, stride, self.bottleneck, self.squeeze)
                hidden = block(hidden, train=train)
        features = hidden.mean((1, 2))
        self.sow("intermediates", "features", features)
        return nn.Dense(self.classes)(features)


_RESNETS = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}


def resnet(depth: int = 18, **options) -> ResNet:
    """Makes one of the paper's networks (table 1); a stride is in the 3 x 3 convolution.

    Args:
      depth: layers with weights: 18, 34, 50, 101 or 152.
      **options: other fields of `ResNet`.

    Raises:
      ValueError: there is no such network.
    """
    if depth not in _RESNETS:
        raise ValueError(f"ResNet has {', '.join(map(str, _RESNETS))} layers, got {depth}")
    stages, bottleneck = _RESNETS[depth]
    return ResNet(stages, bottleneck, **options)
