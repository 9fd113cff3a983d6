"""Networks of generative adversarial training, of GANomaly, and a convolutional autoencoder.

Images are in [-1, 1]. With `train=True` a network normalises with the statistics of its own batch,
of which it leaves running ones in the collection `batch_stats`; otherwise it normalises with those.
All kernels start as N(0, 0.02) (Radford et al., 2016, section 4).

Shapes: B batch, H W image, C channels, Z latent dimensions, A classes.
"""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxdl.nn.conv import Conv
from jaxdl.nn.conv_transpose import ConvTranspose
from jaxdl.nn.norm import BatchNorm

_KERNEL = nn.initializers.normal(0.02)


def _around_one(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return 1 + 0.02 * jax.random.normal(key, shape)


_leaky = partial(nn.leaky_relu, negative_slope=0.2)
_Conv = partial(Conv, kernel_size=(4, 4), strides=(2, 2), use_bias=False, kernel_init=_KERNEL)
_ConvTranspose = partial(ConvTranspose, use_bias=False, kernel_init=_KERNEL)
_Dense = partial(nn.Dense, kernel_init=_KERNEL)
# 0.9 of the running statistics are kept: PyTorch's momentum of 0.1.
_BatchNorm = partial(BatchNorm, momentum=0.9, scale_init=_around_one)

Normalisation = Literal["batch", "spectral", "none"]


class Encoder(nn.Module):
    """Halves the image down to 4 x 4 features, and those to a latent vector (Akcay et al., 2018).

    With one latent dimension it is GANomaly's discriminator, whose vector is the logit.
    """

    latent: int = 100
    """Z."""
    features: int = 64
    """Channels after the first convolution; every further one doubles them."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps images [B, H, H, C], H = 8, 16, 32, ..., to [B, Z] and features [B, 4, 4, D]."""
        side = images.shape[1]
        if images.shape[2] != side or side < 8 or side & (side - 1):
            raise ValueError(
                f"images must be square, 8, 16, 32, ... pixels wide, got {images.shape}"
            )
        hidden = _leaky(_Conv(self.features)(images))
        while hidden.shape[1] > 4:
            hidden = _Conv(2 * hidden.shape[-1])(hidden)
            hidden = _leaky(_BatchNorm()(hidden, use_running_average=not train))
        latent = _Conv(self.latent, strides=(1, 1), padding="VALID")(hidden)
        return latent[:, 0, 0], hidden


class Decoder(nn.Module):
    """Mirrors `Encoder`: from a latent vector to an image (Akcay et al., 2018)."""

    size: int = 32
    """H, 8, 16, 32, ..."""
    channels: int = 1
    """C."""
    features: int = 64
    """Channels before the last transposed convolution."""

    @nn.compact
    def __call__(self, latent: jax.Array, *, train: bool = False) -> jax.Array:
        """Maps [B, Z] to images [B, H, H, C] in [-1, 1]."""
        width = self.features * self.size // 8
        hidden = latent[:, None, None]
        while width >= self.features:
            first = hidden.shape[1] == 1
            hidden = _ConvTranspose(
                width, strides=(1, 1) if first else (2, 2), crop=0 if first else 1
            )(hidden)
            hidden = nn.relu(_BatchNorm()(hidden, use_running_average=not train))
            width //= 2
        return jnp.tanh(_ConvTranspose(self.channels)(hidden))


class Autoencoder(nn.Module):
    """GANomaly's encoder and decoder alone."""

    size: int = 32
    """H, 8, 16, 32, ..."""
    channels: int = 1
    """C."""
    latent: int = 100
    """Z."""
    features: int = 64
    """Channels of the layers nearest to the image."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Maps images [B, H, H, C] to their reconstructions and latent vectors [B, Z]."""
        latent, _ = Encoder(self.latent, self.features)(images, train=train)
        return Decoder(self.size, self.channels, self.features)(latent, train=train), latent


class GANomalyGenerator(nn.Module):
    """Encoder, decoder, and a second encoder of what came out (Akcay et al., 2018, figure 2)."""

    size: int = 32
    """H, 8, 16, 32, ..."""
    channels: int = 1
    """C."""
    latent: int = 100
    """Z."""
    features: int = 64
    """Channels of the layers nearest to the image."""

    @nn.compact
    def __call__(
        self, images: jax.Array, *, train: bool = False
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Maps images [B, H, H, C] to reconstructions, their latents [B, Z], and the images'."""
        first = Autoencoder(self.size, self.channels, self.latent, self.features)
        reconstructed, latent = first(images, train=train)
        again, _ = Encoder(self.latent, self.features)(reconstructed, train=train)
        return reconstructed, again, latent


class Generator(nn.Module):
    """DCGAN's generator (Radford et al., 2016), with kernels of 4 x 4."""

    size: int = 28
    """H: 28, 32 or 64."""
    channels: int = 1
    """C."""
    features: int = 64
    """Channels before the last transposed convolution."""
    classes: int = 0
    """A, when it generates by class; else 0."""

    @nn.compact
    def __call__(self, latent: jax.Array, label: Any = None, *, train: bool = False) -> jax.Array:
        """Maps [B, Z], and int labels [B] with classes, to images [B, H, H, C] in [-1, 1]."""
        side, doublings = {28: (7, 2), 32: (4, 3), 64: (4, 4)}[self.size]
        width = self.features * 2 ** (doublings - 1)
        hidden = _with_label(latent, label, self.classes)
        hidden = _Dense(side * side * width, use_bias=False)(hidden)
        hidden = hidden.reshape(-1, side, side, width)
        while True:
            hidden = nn.relu(_BatchNorm()(hidden, use_running_average=not train))
            if 2 * hidden.shape[1] == self.size:
                return jnp.tanh(_ConvTranspose(self.channels, use_bias=True)(hidden))
            width //= 2
            hidden = _ConvTranspose(width)(hidden)


class Discriminator(nn.Module):
    """DCGAN's discriminator (Radford et al., 2016), with kernels of 4 x 4.

    With classes the logit is that of the image plus how well its features go with the label, their
    product with a vector of the class (Miyato and Koyama, 2018, arXiv 1802.05637, equation 3).
    """

    features: int = 64
    """Channels after the first convolution; every further one doubles them."""
    normalisation: Normalisation = "batch"
    """`batch`: in every layer but the first and the last; `spectral`: of every kernel (Miyato et
    al., 2018), one power iteration for each call that may change `batch_stats`; `none`, for
    gradient penalties, which ask what one image does to its own logit."""
    classes: int = 0
    """A, when it judges images of a given class; else 0."""

    @nn.compact
    def __call__(self, images: jax.Array, label: Any = None, *, train: bool = False) -> jax.Array:
        """Maps images [B, H, H, C], and int labels [B] with classes, to logits [B]."""
        spectral = self.normalisation == "spectral"

        def apply(layer, inputs):
            if spectral:
                return nn.SpectralNorm(layer)(inputs, update_stats=train)
            return layer(inputs)

        hidden, width = images, self.features
        while hidden.shape[1] % 2 == 0 and hidden.shape[1] > 4:
            batch = self.normalisation == "batch" and width > self.features
            hidden = apply(_Conv(width, use_bias=not batch), hidden)
            if batch:
                hidden = _BatchNorm()(hidden, use_running_average=not train)
            hidden, width = _leaky(hidden), 2 * width
        return _logit(hidden.reshape(hidden.shape[0], -1), label, self.classes, _Dense, apply)


class MLPGenerator(nn.Module):
    """A generator of dense layers."""

    size: int = 28
    """H."""
    channels: int = 1
    """C."""
    features: tuple[int, ...] = (256, 512)
    """Units of the hidden layers."""
    classes: int = 0
    """A, when it generates by class; else 0."""

    @nn.compact
    def __call__(self, latent: jax.Array, label: Any = None, *, train: bool = False) -> jax.Array:
        """Maps [B, Z], and int labels [B] with classes, to images [B, H, H, C] in [-1, 1]."""
        del train
        hidden = _with_label(latent, label, self.classes)
        for units in self.features:
            hidden = nn.relu(nn.Dense(units)(hidden))
        pixels = nn.Dense(self.size**2 * self.channels)(hidden)
        return jnp.tanh(pixels).reshape(-1, self.size, self.size, self.channels)


class MLPDiscriminator(nn.Module):
    """A discriminator of dense layers; classes as in `Discriminator`."""

    features: tuple[int, ...] = (512, 256)
    """Units of the hidden layers."""
    classes: int = 0
    """A, when it judges images of a given class; else 0."""

    @nn.compact
    def __call__(self, images: jax.Array, label: Any = None, *, train: bool = False) -> jax.Array:
        """Maps images [B, H, W, C], and int labels [B] with classes, to logits [B]."""
        del train
        hidden = images.reshape(images.shape[0], -1)
        for units in self.features:
            hidden = _leaky(nn.Dense(units)(hidden))
        return _logit(hidden, label, self.classes, nn.Dense, lambda layer, inputs: layer(inputs))


def _with_label(latent: jax.Array, label: jax.Array | None, classes: int) -> jax.Array:
    """Appends the one-hot label to [B, Z] (Mirza and Osindero, 2014)."""
    if not classes:
        return latent
    return jnp.concatenate([latent, jax.nn.one_hot(_needed(label, classes), classes)], -1)


def _logit(
    features: jax.Array, label: jax.Array | None, classes: int, dense: Any, apply: Any
) -> jax.Array:
    """Maps features [B, D] to logits [B], see `Discriminator`."""
    logit = apply(dense(1), features)[:, 0]
    if not classes:
        return logit
    of_classes = apply(dense(classes, use_bias=False), features)
    index = _needed(label, classes)[:, None]
    return logit + jnp.take_along_axis(of_classes, index, axis=-1)[:, 0]


def _needed(label: jax.Array | None, classes: int) -> jax.Array:
    if label is None:
        raise ValueError(f"a network of {classes} classes needs labels")
    return label
