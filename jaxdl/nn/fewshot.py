"""The small networks of the few-shot literature.

Each maps images [B, H, W, C] to logits [B, N], or, without `way`, to the features [B, D] that a
last layer would read. With `normalisation="batch"` a call normalises with the statistics of its own
batch and leaves them in the `batch_stats` collection; with `use_running_average=True` it normalises
with the statistics found there instead. Which batch those come from is the caller's choice, and is
what separates transductive from inductive evaluation.

The last layer starts at zero. A class has no meaning before an episode gives it one, so any other
start favours some labels over others for nothing; and the first inner step from zero makes the
layer's weights differences of the classes' mean features, a classifier by prototypes.

Shapes: B batch, H W image, C channels, D features, N ways.
"""

from typing import Literal

import flax.linen as nn
import jax

from jaxdl.nn.conv import Conv
from jaxdl.nn.norm import BatchNorm
from jaxdl.nn.pool import max_pool

Normalisation = Literal["batch", "group"]


class Normalise(nn.Module):
    """Batch statistics that are kept as they are (no running average), or group normalisation."""

    kind: Normalisation = "batch"
    """`batch`: per channel over the batch; `group`: 8 groups of channels of each image alone
    (Wu and He, 2018), which no other image can influence."""

    @nn.compact
    def __call__(self, inputs: jax.Array, *, use_running_average: bool = False) -> jax.Array:
        """Maps [B, ..., C] to the same shape."""
        if self.kind == "group":
            return nn.GroupNorm(num_groups=8, epsilon=1e-3)(inputs)
        normalise = BatchNorm(momentum=0.0, epsilon=1e-3)
        return normalise(inputs, use_running_average=use_running_average)


class Conv4(nn.Module):
    """Four blocks of 3x3 convolution, normalisation and ReLU, then a linear layer.

    `strided` halves the image by the stride of the convolution (Finn et al., 2017, for Omniglot);
    `pooled` by max-pooling after it (Vinyals et al., 2016), at about four times the arithmetic.
    """

    way: int | None = None
    """N, the number of logits; None for the features under the last layer."""
    features: int = 64
    """Channels of every block."""
    downsampling: Literal["strided", "pooled"] = "strided"
    """What halves the image in every block."""
    normalisation: Normalisation = "batch"
    """Normalisation in every block."""
    bfloat16: bool = False
    """Round what the convolutions multiply to bfloat16."""

    @nn.compact
    def __call__(self, images: jax.Array, *, use_running_average: bool = False) -> jax.Array:
        """Maps images [B, H, W, C], at least 16 pixels wide and high, to [B, N] or [B, D]."""
        strided = self.downsampling == "strided"
        hidden = images
        for _ in range(4):
            strides = (2, 2) if strided else (1, 1)
            hidden = Conv(self.features, strides=strides, bfloat16=self.bfloat16)(hidden)
            normalise = Normalise(self.normalisation)
            hidden = nn.relu(normalise(hidden, use_running_average=use_running_average))
            hidden = hidden if strided else max_pool(hidden)
        hidden = hidden.reshape(hidden.shape[0], -1)
        return hidden if self.way is None else head(self.way)(hidden)


class MLP(nn.Module):
    """The fully connected network 256-128-64-64 of Santoro et al. (2016) and Finn et al. (2017)."""

    way: int | None = None
    """N, the number of logits; None for the features under the last layer."""
    features: tuple[int, ...] = (256, 128, 64, 64)
    """Units of every hidden layer."""
    normalisation: Normalisation = "batch"
    """Normalisation after every hidden layer."""

    @nn.compact
    def __call__(self, images: jax.Array, *, use_running_average: bool = False) -> jax.Array:
        """Maps images [B, H, W, C] to [B, N] or [B, D]."""
        hidden = images.reshape(images.shape[0], -1)
        for units in self.features:
            normalise = Normalise(self.normalisation)
            hidden = normalise(nn.Dense(units)(hidden), use_running_average=use_running_average)
            hidden = nn.relu(hidden)
        return hidden if self.way is None else head(self.way)(hidden)


def head(way: int) -> nn.Dense:
    """Returns the last layer, which starts at zero."""
    return nn.Dense(way, kernel_init=nn.initializers.zeros)
