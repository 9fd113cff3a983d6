"""A layer that looks at a part of its input (Jaderberg et al., 2015, arXiv 1506.02025).

Shapes: B batch, H W image, S side of what it looks at, C channels.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.nn.conv import Conv
from jaxdl.nn.norm import BatchNorm
from jaxdl.nn.pool import pool
from jaxdl.ops.augmentation import affine


class Keypoints(nn.Module):
    """Finds K things in an image, and says where they are.

    Each is the mean place of a softmax over all pixels (Levine et al., 2016, arXiv 1504.00702,
    section 5.1), so that a map of features becomes a place without a dense layer that would have to
    learn one place after the other.
    """

    channels: tuple[int, ...] = (16, 32, 32)
    """Of the convolutions; after the first, the image is half as large."""
    points: int = 8
    """K."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to K rows and K columns from -1 to 1, [B, 2 * K]."""
        for index, channels in enumerate(self.channels):
            conv = Conv(channels, use_bias=False, max_pool=2 if index == 0 else 1)
            images = nn.relu(BatchNorm(momentum=0.9)(conv(images), use_running_average=not train))
        seen = Conv(self.points, use_bias=False)(images)
        share = nn.softmax(seen, axis=(1, 2))
        row, column = (jnp.linspace(-1, 1, side) for side in seen.shape[1:3])
        return jnp.concatenate(
            [jnp.einsum("bhwk,h->bk", share, row), jnp.einsum("bhwk,w->bk", share, column)], axis=-1
        )


class SpatialTransformer(nn.Module):
    """Finds an affine map for each image, and samples the image there bilinearly.

    The map has six numbers, `[[a, b, c], [d, e, f]]` of the paper's equation 1 with rows first: a
    place p of the output, from -1 to 1, is taken at `[[a, b], [d, e]] @ p + [c, f]` of the input,
    from -1 to 1 too. It begins as `scale` times the identity: the middle of every image.
    """

    localisation: nn.Module
    """`(images, train=bool) -> features [B, D]`, from which the six numbers are a dense layer."""
    size: int = 28
    """S, in pixels."""
    scale: float = 1.0
    """Side of what it looks at in the beginning, as a share of the input's."""
    shrink: int = 1
    """By how much smaller the image is that `localisation` is shown: where to look needs less
    detail than what is there."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps [B, H, W, C] to what it looks at, [B, S, S, C], and the maps [B, 2, 3]."""
        shown = pool(images, self.shrink, kind="average") if self.shrink > 1 else images
        features = self.localisation(shown, train=train)
        start = jnp.array([[self.scale, 0.0, 0.0], [0.0, self.scale, 0.0]]).reshape(-1)
        theta = nn.Dense(
            6, kernel_init=nn.initializers.zeros, bias_init=lambda key, shape, dtype: start
        )(features)
        theta = theta.reshape(-1, 2, 3)
        # From shares of the half sides to pixels.
        half = (jnp.array(images.shape[1:3]) - 1) / 2
        own = (self.size - 1) / 2
        matrix = theta[:, :, :2] * half[:, None] / own
        shift = theta[:, :, 2] * half

        def look(image, matrix, shift):
            return affine(image, matrix, shift, size=(self.size, self.size))

        return jax.vmap(look)(images, matrix, shift), theta


class TransformedClassifier(nn.Module):
    """A spatial transformer before a classifier."""

    transformer: SpatialTransformer
    """Where to look."""
    classifier: nn.Module
    """`(images, train=bool) -> logits [B, A]`: what is there."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to logits [B, A]; what it looks at is the intermediate `seen`."""
        seen, _ = self.transformer(images, train=train)
        self.sow("intermediates", "seen", seen)
        return self.classifier(seen, train=train)
