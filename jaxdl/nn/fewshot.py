"""The small networks of the few-shot literature.

Each maps images [B, H, W, C] to logits [B, N], or, without `way`, to the features [B, D] that a
last layer would read. With `normalisation="batch"` and `train=True` a call normalises with the
statistics of its own batch and leaves them in the `batch_stats` collection; otherwise it normalises
with the statistics found there. Which batch those come from is the caller's choice, and is what
separates transductive from inductive evaluation.

The last layer starts at zero. A class has no meaning before an episode gives it one, so any other
start favours some labels over others for nothing; and the first inner step from zero makes the
layer's weights differences of the classes' mean features, a classifier by prototypes.

Shapes: B batch, H W image, C channels, D features, N ways.
"""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

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
    def __call__(self, inputs: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, ..., C] to the same shape."""
        if self.kind == "group":
            return nn.GroupNorm(num_groups=8, epsilon=1e-3)(inputs)
        normalise = BatchNorm(momentum=0.0, epsilon=1e-3)
        return normalise(inputs, use_running_average=not train)


class Conv4(nn.Module):
    """Four blocks of 3x3 convolution, normalisation and ReLU, then a linear layer.

    `strided` halves the image by the stride of the convolution (Finn et al., 2017, for Omniglot);
    `pooled` by max-pooling after it (Vinyals et al., 2016), at about four times the arithmetic.
    """

    way: int | None = None
    """N, the number of logits; None for the features under the last layer."""
    features: int | tuple[int, int, int, int] = 64
    """Channels of every block, or of each. Pooled, 32, 64, 128 and 256 take the arithmetic of 64
    everywhere, for 3.5 times the parameters and four times the features."""
    downsampling: Literal["strided", "pooled"] = "strided"
    """What halves the image in every block."""
    normalisation: Normalisation = "batch"
    """Normalisation in every block."""
    bfloat16: bool = False
    """Round what the convolutions multiply to bfloat16."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, C], at least 16 pixels wide and high, to [B, N] or [B, D]."""
        strided = self.downsampling == "strided"
        hidden = images
        each = (self.features,) * 4 if isinstance(self.features, int) else self.features
        for features in each:
            strides = (2, 2) if strided else (1, 1)
            hidden = Conv(features, strides=strides, bfloat16=self.bfloat16)(hidden)
            normalise = Normalise(self.normalisation)
            hidden = nn.relu(normalise(hidden, train=train))
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
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, C] to [B, N] or [B, D]."""
        hidden = images.reshape(images.shape[0], -1)
        for units in self.features:
            normalise = Normalise(self.normalisation)
            hidden = normalise(nn.Dense(units)(hidden), train=train)
            hidden = nn.relu(hidden)
        return hidden if self.way is None else head(self.way)(hidden)


def head(way: int) -> nn.Dense:
    """Returns the last layer, which starts at zero."""
    return nn.Dense(way, kernel_init=nn.initializers.zeros)


class FullContext(nn.Module):
    """Embeddings of an episode that know of one another (Vinyals et al., 2016, appendix A).

    Support embeddings pass through a bidirectional LSTM, in the order in which they come; a query's
    through an LSTM that attends to them.
    """

    steps: int = 5
    """Rounds of attention."""

    @nn.compact
    def __call__(self, support: jax.Array, queries: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps support [N*K, D] and queries [B, D] to the same shapes."""
        features = support.shape[-1]
        forward, backward = (nn.RNN(nn.OptimizedLSTMCell(features)) for _ in range(2))
        both = nn.Bidirectional(forward, backward, merge_fn=lambda a, b: a + b)
        support = support + both(support[None])[0]
        cell = nn.OptimizedLSTMCell(features)
        memory = state = read = jnp.zeros_like(queries)
        for _ in range(self.steps):
            (memory, out), _ = cell((memory, state), jnp.concatenate([queries, read], -1))
            state = out + queries
            read = nn.softmax(state @ support.T) @ support
        return support, state


class FeatureMaps(nn.Module):
    """Four blocks of 64 convolutions, of which two halve the image (Sung et al., 2018)."""

    features: int = 64
    """Channels of every block."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, C] to [B, H // 4, W // 4, features]."""
        for halved in (True, True, False, False):
            images = Conv(self.features)(images)
            images = nn.relu(Normalise()(images, train=train))
            images = max_pool(images) if halved else images
        return images


class RelationScore(nn.Module):
    """How alike two feature maps are (Sung et al., 2018).

    Normalised by groups, where the paper has batch normalisation, so that a pair's score depends on
    no other pair.
    """

    features: int = 64
    """Channels of both blocks."""
    hidden: int = 8
    """Units of the layer before the score."""

    @nn.compact
    def __call__(self, pairs: jax.Array) -> jax.Array:
        """Maps the maps of two images, [B, H, W, 2 * C] and at least 4 pixels wide, to [B]."""
        for _ in range(2):
            pairs = max_pool(nn.relu(Normalise("group")(Conv(self.features)(pairs))))
        hidden = nn.relu(nn.Dense(self.hidden)(pairs.reshape(pairs.shape[0], -1)))
        return nn.Dense(1)(hidden)[..., 0]
