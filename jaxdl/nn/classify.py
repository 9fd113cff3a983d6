"""Networks that classify images: perceptrons, LeNet, plain convolutional networks and VGG.

With `train=True` a network drops units (it needs a key, `rngs={"dropout": key}`) and normalises
with the statistics of its own batch, of which it leaves running ones in the collection
`batch_stats`; otherwise it normalises with those.

Shapes: B batch, H W image, C channels, A classes, D units.
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax

from jaxdl.nn.conv import Conv
from jaxdl.nn.norm import BatchNorm
from jaxdl.nn.pool import pool

_KERNEL = nn.initializers.lecun_normal()


class LearnableSigmoid(nn.Module):
    """A sigmoid with a slope that is learned, `1 / (1 + exp(-slope * x))`."""

    initial: float = 0.1
    """The slope at first."""

    @nn.compact
    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps any shape to itself."""
        slope = self.param("slope", nn.initializers.constant(self.initial), ())
        return nn.sigmoid(slope * inputs)


class MLP(nn.Module):
    """Dense layers over the pixels; without hidden ones, softmax regression."""

    hidden: tuple[int, ...] = (512, 256, 128, 64)
    """Units of the hidden layers."""
    classes: int = 10
    """A."""
    activation: Callable[[jax.Array], jax.Array] = nn.relu
    """After each hidden layer."""
    dropout: float = 0.0
    """Share of the units of each hidden layer that a training step leaves out."""
    input_dropout: float = 0.0
    """Share of the pixels that a training step leaves out."""
    kernel_init: nn.initializers.Initializer = _KERNEL
    """Of all layers; biases start at 0."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, ...] to logits [B, A]."""
        hidden = images.reshape(images.shape[0], -1)
        hidden = nn.Dropout(self.input_dropout, deterministic=not train)(hidden)
        for units in self.hidden:
            hidden = self.activation(nn.Dense(units, kernel_init=self.kernel_init)(hidden))
            hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        self.sow("intermediates", "features", hidden)
        return nn.Dense(self.classes, kernel_init=self.kernel_init)(hidden)


class CNN(nn.Module):
    """Stages of 3 x 3 convolutions, each of which halves the image at its end, and dense layers.

    The largest of 2 x 2 pixels is taken before the normalisation and the activation of a stage's
    last convolution, where it is cheaper.
    """

    stages: tuple[tuple[int, ...], ...] = ((32,), (64,))
    """Channels of the convolutions of each stage."""
    hidden: tuple[int, ...] = (128,)
    """Units of the hidden dense layers."""
    classes: int = 10
    """A."""
    batch_norm: bool = False
    """Whether convolutions are followed by batch normalisation, and then have no bias."""
    activate: bool = True
    """Whether convolutions are followed by ReLU; without, they are one linear map."""
    dropout: float = 0.0
    """Share of the inputs of each dense layer that a training step leaves out."""
    bfloat16: bool = False
    """Round what convolutions multiply to bfloat16."""
    axis_name: str | None = None
    """The mapped axis over which batch normalisation takes its statistics, see `BatchNorm`."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to logits [B, A]."""
        conv = partial(Conv, use_bias=not self.batch_norm, bfloat16=self.bfloat16)
        for stage in self.stages:
            for index, channels in enumerate(stage):
                images = conv(channels, max_pool=2 if index == len(stage) - 1 else 1)(images)
                if self.batch_norm:
                    normalise = BatchNorm(momentum=0.9, axis_name=self.axis_name)
                    images = normalise(images, use_running_average=not train)
                if self.activate:
                    images = nn.relu(images)
        hidden = images.reshape(images.shape[0], -1)
        for units in self.hidden:
            hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
            hidden = nn.relu(nn.Dense(units)(hidden))
        self.sow("intermediates", "features", hidden)
        hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        return nn.Dense(self.classes)(hidden)


_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(depth: int = 16, classes: int = 1000, *, batch_norm: bool = False) -> CNN:
    """Makes VGG (Simonyan and Zisserman, 2015, table 1: configurations A, B, D and E).

    Args:
      depth: layers with weights: 11, 13, 16 or 19.
      classes: A.
      batch_norm: whether there is one after each convolution, which the paper has not.

    Raises:
      ValueError: there is no such configuration.
    """
    if depth not in _VGG:
        raise ValueError(f"VGG has {', '.join(map(str, _VGG))} layers, got {depth}")
    widths = (64, 128, 256, 512, 512)
    stages = tuple((width,) * count for width, count in zip(widths, _VGG[depth], strict=True))
    return CNN(stages, (4096, 4096), classes, batch_norm=batch_norm, dropout=0.5)


class LeNet(nn.Module):
    """LeNet-5 (LeCun et al., 1998) without its partial connections, as it is used today."""

    classes: int = 10
    """A."""
    activation: Callable[[jax.Array], jax.Array] = nn.tanh
    """After each layer but the last."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, 28, 28, C] to logits [B, A]."""
        del train
        hidden = self.activation(Conv(6, (5, 5), padding=2)(images))
        hidden = pool(hidden, 2, kind="average")
        hidden = self.activation(Conv(16, (5, 5), padding="VALID")(hidden))
        hidden = pool(hidden, 2, kind="average").reshape(images.shape[0], -1)
        for units in (120, 84):
            hidden = self.activation(nn.Dense(units)(hidden))
        self.sow("intermediates", "features", hidden)
        return nn.Dense(self.classes)(hidden)
