"""Networks by name, as options of experiments; imports no JAX."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import flax.linen as nn


@dataclass(frozen=True, kw_only=True)
class InnerLoopNetwork:
    """The network of a few-shot method that takes gradient steps on the support set."""

    network: Literal["conv4", "conv4_pooled", "mlp"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling, or 256-128-64-64."""
    bfloat16: bool = False
    """Round what the convolutions multiply to bfloat16, for devices that are faster with it."""

    def build(self, way: int | None, normalisation: str) -> "nn.Module":
        """Makes the network.

        Args:
          way: number of logits; None for features.
          normalisation: `group`, or any other for the batch's.
        """
        from jaxdl.nn.fewshot import MLP, Conv4

        kind: Literal["batch", "group"] = "group" if normalisation == "group" else "batch"
        if self.network == "mlp":
            return MLP(way, normalisation=kind)
        downsampling: Literal["strided", "pooled"] = (
            "pooled" if self.network == "conv4_pooled" else "strided"
        )
        return Conv4(way, downsampling=downsampling, normalisation=kind, bfloat16=self.bfloat16)


@dataclass(frozen=True, kw_only=True)
class MetricNetwork:
    """The network of a few-shot method that compares features."""

    network: Literal["conv4", "conv4_pooled", "conv4_widening"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling, with 64 channels each, or
    with 32, 64, 128 and 256, by max-pooling."""

    def build(self) -> "nn.Module":
        """Makes the network."""
        from jaxdl.nn.fewshot import Conv4

        if self.network == "conv4_widening":
            return Conv4(features=(32, 64, 128, 256), downsampling="pooled")
        return Conv4(downsampling="pooled" if self.network == "conv4_pooled" else "strided")


@dataclass(frozen=True, kw_only=True)
class AdversarialNetworks:
    """The generator and the discriminator of a generative adversarial network."""

    network: Literal["dcgan", "mlp"] = "dcgan"
    """Convolutions or dense layers."""
    features: int = 32
    """Channels of the convolutions nearest to the image."""
    normalisation: Literal["batch", "spectral", "none"] = "spectral"
    """Normalisation of the discriminator's convolutions."""

    def build(self, size: int, channels: int, classes: int) -> tuple["nn.Module", "nn.Module"]:
        """Makes the networks.

        Args:
          size: of the images, in pixels: 28, 32 or 64 with convolutions.
          channels: of the images.
          classes: by which images are generated and judged; 0 for none.

        Raises:
          ValueError: there is no such network.
        """
        from jaxdl.nn import gan

        if self.network == "mlp":
            generator = gan.MLPGenerator(size, channels, classes=classes)
            return generator, gan.MLPDiscriminator(classes=classes)
        if size not in (28, 32, 64):
            raise ValueError(f"with convolutions --size must be 28, 32 or 64, got {size}")
        return (
            gan.Generator(size, channels, self.features, classes),
            gan.Discriminator(self.features, self.normalisation, classes),
        )


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What the networks that classify images have in common."""

    dropout: float = 0.0
    """Share of the units before dense layers that a training step leaves out."""
    bfloat16: bool = False
    """Round what convolutions multiply to bfloat16."""
