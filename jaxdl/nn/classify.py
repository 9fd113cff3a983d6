"""Small networks that classify images.

Shapes: B batch, H W image, C channels, A classes, D features.
"""

import flax.linen as nn
import jax

from jaxdl.nn.conv import Conv


class SmallCNN(nn.Module):
    """Two convolutions, each followed by max-pooling, and one hidden layer."""

    classes: int = 10
    """A."""
    channels: tuple[int, int] = (32, 64)
    """Of the convolutions."""
    features: int = 128
    """D, units of the hidden layer."""

    @nn.compact
    def __call__(self, images: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Maps images [B, H, W, C] to logits [B, A] and the hidden layer's features [B, D]."""
        for channels in self.channels:
            images = nn.relu(Conv(channels, max_pool=2)(images))
        features = nn.relu(nn.Dense(self.features)(images.reshape(len(images), -1)))
        return nn.Dense(self.classes)(features), features
