"""GANomaly's and DCGAN's networks and one iteration of each in PyTorch, as its users write them.

Images are [B, C, H, W]. `parameters_of_jaxdl` gives parameters by the names of `jaxdl.nn.gan`, so
that both can be compared.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from experiments.benchmarks.torch_peers import DEVICE


class Encoder(nn.Module):
    """Maps images [B, C, H, H] to latents [B, Z] and features; with Z = 1 the discriminator."""

    def __init__(self, size: int, latent: int, features: int, channels: int = 1):
        super().__init__()
        widths = [channels, features]
        while size > 8:
            widths, size = [*widths, 2 * widths[-1]], size // 2
        self.conv = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1, bias=False)
            for before, after in itertools.pairwise(widths)
        )
        self.conv.append(nn.Conv2d(widths[-1], latent, 4, 1, 0, bias=False))
        self.norm = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[2:])

    def forward(self, images):
        """Returns the latents and the features they are made of."""
        hidden = F.leaky_relu(self.conv[0](images), 0.2)
        for conv, norm in zip(self.conv[1:], self.norm, strict=False):
            hidden = F.leaky_relu(norm(conv(hidden)), 0.2)
        return self.conv[-1](hidden).flatten(1), hidden


class Decoder(nn.Module):
    """Maps latents [B, Z] to images [B, C, H, H] in [-1, 1]."""

    def __init__(self, size: int, latent: int, features: int, channels: int = 1):
        super().__init__()
        widths = [features]
        while size > 8:
            widths, size = [2 * widths[0], *widths], size // 2
        self.conv = nn.ModuleList([nn.ConvTranspose2d(latent, widths[0], 4, 1, 0, bias=False)])
        for before, after in zip(widths, [*widths[1:], channels], strict=True):
            self.conv.append(nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False))
        self.norm = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)

    def forward(self, latent):
        """Returns the images."""
        hidden = latent[:, :, None, None]
        for conv, norm in zip(self.conv, self.norm, strict=False):
            hidden = F.relu(norm(conv(hidden)))
        return torch.tanh(self.conv[-1](hidden))


class GANomaly(nn.Module):
    """All of its networks."""

    def __init__(self, size: int = 32, latent: int = 100, features: int = 64):
        super().__init__()
        self.first = Encoder(size, latent, features)
        self.decoder = Decoder(size, latent, features)
        self.second = Encoder(size, latent, features)
        self.discriminator = Encoder(size, 1, features)

    def forward(self, images):
        """Returns the reconstructions, their latents and the images'."""
        latent, _ = self.first(images)
        made = self.decoder(latent)
        again, _ = self.second(made)
        return made, again, latent

    def parameters_of_jaxdl(self) -> dict[str, torch.Tensor]:
        """Returns the parameters by jaxdl's names, kernels as [height, width, in, out]."""
        places = {
            "generator/Autoencoder_0/Encoder_0": self.first,
            "generator/Autoencoder_0/Decoder_0": self.decoder,
            "generator/Encoder_0": self.second,
            "discriminator": self.discriminator,
        }
        return {
            f"{place}/{name}": value.detach().clone()
            for place, module in places.items()
            for name, value in _named(module)
        }


def _named(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    # A convolution's weight is [out, in, h, w], a transposed one's [in, out, h, w].
    kind, axes = ("Conv", (2, 3, 1, 0))
    if isinstance(module, Decoder):
        kind, axes = ("ConvTranspose", (2, 3, 0, 1))
    for index, conv in enumerate(module.conv):
        yield f"{kind}_{index}/kernel", conv.weight.permute(axes)
    for index, norm in enumerate(module.norm):
        yield f"BatchNorm_{index}/scale", norm.weight
        yield f"BatchNorm_{index}/bias", norm.bias


def ganomaly_step(networks: GANomaly, rate: float = 2e-4) -> Callable[[Any], dict[str, Any]]:
    """Returns one update of both on images; both updates are those of the networks before."""
    judge = networks.discriminator
    generator = [
        p for m in (networks.first, networks.decoder, networks.second) for p in m.parameters()
    ]
    adam_g = torch.optim.Adam(generator, rate, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(judge.parameters(), rate, betas=(0.5, 0.999))

    def step(images):
        made, again, latent = networks(images)
        real, real_features = judge(images)
        _, fake_features = judge(made)
        losses = {
            "adversarial": F.mse_loss(fake_features, real_features),
            "reconstruction": F.l1_loss(made, images),
            "latent": F.mse_loss(again, latent),
        }
        losses["generator_loss"] = (
            losses["adversarial"] + 50 * losses["reconstruction"] + losses["latent"]
        )
        adam_g.zero_grad()
        losses["generator_loss"].backward()
        adam_d.zero_grad()
        real, _ = judge(images)
        fake, _ = judge(made.detach())
        losses["discriminator_loss"] = 0.5 * (
            F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
            + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
        )
        adam_g.step()
        losses["discriminator_loss"].backward()
        adam_d.step()
        return {name: loss.detach() for name, loss in losses.items()}

    return step


class Discriminator(nn.Module):
    """DCGAN's: maps images [B, C, H, H] to logits [B]."""

    def __init__(
        self, size: int = 28, features: int = 32, normalisation: str = "batch", channels: int = 1
    ):
        super().__init__()
        batch = normalisation == "batch"
        self.conv, self.norm, width = nn.ModuleList(), nn.ModuleList(), channels
        while size % 2 == 0 and size > 4:
            after = 2 * width if self.conv else features
            first = not self.conv
            self.conv.append(nn.Conv2d(width, after, 4, 2, 1, bias=first or not batch))
            self.norm.append(nn.BatchNorm2d(after) if batch and not first else nn.Identity())
            width, size = after, size // 2
        self.dense, self.side = nn.Linear(width * size * size, 1), size
        if normalisation == "spectral":
            for layer in (*self.conv, self.dense):
                nn.utils.spectral_norm(layer)

    def forward(self, images):
        """Returns the logits."""
        for conv, norm in zip(self.conv, self.norm, strict=True):
            images = F.leaky_relu(norm(conv(images)), 0.2)
        return self.dense(images.flatten(1))[:, 0]

    def parameters_of_jaxdl(
        self, of: Callable[[torch.Tensor], Any] = torch.detach
    ) -> dict[str, Any]:
        """Returns `of` every parameter by jaxdl's names and in its shapes."""
        found = {}
        for index, conv in enumerate(self.conv):
            weight = getattr(conv, "weight_orig", conv.weight)
            found[f"Conv_{index}/kernel"] = of(weight).permute(2, 3, 1, 0)
            if conv.bias is not None:
                found[f"Conv_{index}/bias"] = of(conv.bias)
        weight = of(getattr(self.dense, "weight_orig", self.dense.weight))
        weight = weight.reshape(1, -1, self.side, self.side).permute(2, 3, 1, 0)
        norms = [norm for norm in self.norm if isinstance(norm, nn.BatchNorm2d)]
        for index, norm in enumerate(norms):
            found |= {f"BatchNorm_{index}/scale": of(norm.weight)}
            found |= {f"BatchNorm_{index}/bias": of(norm.bias)}
        found |= {"Dense_0/kernel": weight.reshape(-1, 1), "Dense_0/bias": of(self.dense.bias)}
        return {name: value.clone() for name, value in found.items()}


class Generator(nn.Module):
    """DCGAN's for 28 x 28 pixels: maps latents [B, Z] to images [B, C, 28, 28]."""

    def __init__(self, latent: int = 64, features: int = 32, channels: int = 1):
        super().__init__()
        self.dense = nn.Linear(latent, 2 * features * 49, bias=False)
        self.norm = nn.ModuleList([nn.BatchNorm2d(2 * features), nn.BatchNorm2d(features)])
        self.conv = nn.ModuleList(
            [
                nn.ConvTranspose2d(2 * features, features, 4, 2, 1, bias=False),
                nn.ConvTranspose2d(features, channels, 4, 2, 1),
            ]
        )

    def forward(self, latent):
        """Returns the images, in [-1, 1]."""
        hidden = self.dense(latent).reshape(len(latent), -1, 7, 7)
        for norm, conv in zip(self.norm, self.conv, strict=True):
            hidden = conv(F.relu(norm(hidden)))
        return torch.tanh(hidden)


def gan_step(
    generator: Generator, judge: Discriminator, rate: float = 2e-4
) -> Callable[[Any], Any]:
    """Returns one update of each on images, the generator's with a new latent vector."""
    adam_g = torch.optim.Adam(generator.parameters(), rate, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(judge.parameters(), rate, betas=(0.5, 0.999))

    def generated(count):
        return generator(torch.randn(count, generator.dense.in_features, device=DEVICE))

    def step(images):
        with torch.no_grad():
            fake = generated(len(images))
        judged = F.softplus(-judge(images)).mean() + F.softplus(judge(fake)).mean()
        adam_d.zero_grad()
        judged.backward()
        adam_d.step()
        loss = F.softplus(-judge(generated(len(images)))).mean()
        adam_g.zero_grad()
        loss.backward()
        adam_g.step()
        return {"discriminator_loss": judged.detach(), "generator_loss": loss.detach()}

    return step


STEPS = {"GANomaly": ganomaly_step, "DCGAN": gan_step}


def make(kind: str, size: int, features: int) -> tuple[nn.Module, ...]:
    """Returns what the step of `GANomaly` or `DCGAN` wants."""
    if kind == "GANomaly":
        return (GANomaly(size, features=features).to(DEVICE),)
    return (
        Generator(latent=100, features=features).to(DEVICE),
        Discriminator(size, features).to(DEVICE),
    )


def tensor(images: np.ndarray) -> torch.Tensor:
    """Returns images [B, H, W, C] as [B, C, H, W]."""
    return torch.tensor(images.transpose(0, 3, 1, 2).copy(), device=DEVICE)


def wait() -> None:
    """Returns when the device has done its work."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
