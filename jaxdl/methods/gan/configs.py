"""What defines each method of this family; imports no JAX."""

from dataclasses import dataclass
from typing import Literal

from jaxdl.train.options import Fact


@dataclass(frozen=True, kw_only=True)
class GAN:
    """What defines a generative adversarial network; the defaults are DCGAN's."""

    classes: Fact[int] = 0
    """Classes by which images are generated and judged (A); 0 for none."""
    latent: int = 100
    """Latent dimensions (Z), each drawn from N(0, 1)."""
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein"] = "non_saturating"
    """Adversarial loss, see `jaxdl.ops.adversarial`."""
    penalty: Literal["none", "wgan_gp", "dragan", "r1"] = "none"
    """Penalty on the slope of the discriminator: for being far from 1 between real and generated
    images (WGAN-GP) or around real ones (DRAGAN), or from 0 at real ones (R1)."""
    penalty_weight: float = 10.0
    """Weight of the penalty on the slope of the discriminator."""
    critic_updates: int = 1
    """Updates of the discriminator in a step, each on images of its own (U)."""
    average_decay: float = 0.999
    """Share of the generator's averaged parameters, from which is sampled, that a step keeps; fewer
    in the first steps, see `jaxdl.train.state.averaged`; 0 for the last parameters alone."""


@dataclass(frozen=True, kw_only=True)
class Autoencoder:
    """What defines the autoencoder; the network is GANomaly's without its second encoder."""

    size: Fact[int] = 32
    """Side of the images, in pixels (H): 8, 16, 32, ..."""
    channels: Fact[int] = 1
    """Channels of the images (C)."""
    latent: int = 100
    """Latent dimensions (Z)."""
    features: int = 64
    """Channels of the layers nearest to the image; the authors of GANomaly have 64."""


@dataclass(frozen=True, kw_only=True)
class GANomaly(Autoencoder):
    """What defines GANomaly; the defaults are the authors'."""

    adversarial_weight: float = 1.0
    """Weight of the squared distance of the discriminator's features of image and
    reconstruction in the generator's loss."""
    reconstruction_weight: float = 50.0
    """Weight of the absolute distance of image and reconstruction in the generator's loss."""
    latent_weight: float = 1.0
    """Weight of the squared distance of the two latent vectors in the generator's loss."""
    restart_below: float = 1e-5
    """Loss below which the discriminator has won and is initialised anew; 0 for never."""
