"""Makes pytorch_ganomaly.npz: GANomaly's networks and one update of both in PyTorch, in float64.

    pip install torch && python tests/methods/pytorch_ganomaly.py

Written from the paper and the published architecture, by PyTorch's own layers, losses and Adam:
nothing of jaxdl is imported. 16 x 16 images, 4 channels next to the image, 6 latent dimensions.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

LATENT, FEATURES, RATE = 6, 4, 2e-4


class Encoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.conv = nn.ModuleList(
            [
                nn.Conv2d(1, FEATURES, 4, 2, 1, bias=False),
                nn.Conv2d(FEATURES, 2 * FEATURES, 4, 2, 1, bias=False),
                nn.Conv2d(2 * FEATURES, latent, 4, 1, 0, bias=False),
            ]
        )
        self.norm = nn.BatchNorm2d(2 * FEATURES)

    def forward(self, images):
        hidden = F.leaky_relu(self.conv[0](images), 0.2)
        hidden = F.leaky_relu(self.norm(self.conv[1](hidden)), 0.2)
        return self.conv[2](hidden), hidden


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.ModuleList(
            [
                nn.ConvTranspose2d(LATENT, 2 * FEATURES, 4, 1, 0, bias=False),
                nn.ConvTranspose2d(2 * FEATURES, FEATURES, 4, 2, 1, bias=False),
                nn.ConvTranspose2d(FEATURES, 1, 4, 2, 1, bias=False),
            ]
        )
        self.norm = nn.ModuleList([nn.BatchNorm2d(2 * FEATURES), nn.BatchNorm2d(FEATURES)])

    def forward(self, latent):
        for conv, norm in zip(self.conv, self.norm, strict=False):
            latent = F.relu(norm(conv(latent)))
        return torch.tanh(self.conv[2](latent))


def named(prefix, module, kind):
    """Yields the parameters by jaxdl's names, kernels as [height, width, in, out]."""
    # A convolution's weight is [out, in, h, w], a transposed one's [in, out, h, w].
    axes = (2, 3, 0, 1) if kind == "ConvTranspose" else (2, 3, 1, 0)
    for index, conv in enumerate(module.conv):
        yield f"{prefix}/{kind}_{index}/kernel", conv.weight.detach().permute(axes)
    norms = module.norm if isinstance(module.norm, nn.ModuleList) else [module.norm]
    for index, norm in enumerate(norms):
        yield f"{prefix}/BatchNorm_{index}/scale", norm.weight.detach()
        yield f"{prefix}/BatchNorm_{index}/bias", norm.bias.detach()


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    first, decoder, second, judge = Encoder(LATENT), Decoder(), Encoder(LATENT), Encoder(1)
    places = [
        ("generator/Autoencoder_0/Encoder_0", first, "Conv"),
        ("generator/Autoencoder_0/Decoder_0", decoder, "ConvTranspose"),
        ("generator/Encoder_0", second, "Conv"),
        ("discriminator", judge, "Conv"),
    ]
    for _, module, _ in places:
        for name, parameter in module.named_parameters():
            # Rounded to float32, which is how they are stored.
            value = torch.randn_like(parameter) * 0.1 + (1.0 if name == "norm.weight" else 0.0)
            parameter.data = value.float().double()
    images = torch.tanh(torch.randn(4, 1, 16, 16)).float().double()
    stored = {"image": images.permute(0, 2, 3, 1)}

    def keep(prefix):
        for place, module, kind in places:
            stored.update({f"{prefix}/{n}": p.clone() for n, p in named(place, module, kind)})

    keep("before")
    generator = [p for m in (first, decoder, second) for p in m.parameters()]
    adam_g = torch.optim.Adam(generator, RATE, betas=(0.5, 0.999))
    adam_d = torch.optim.Adam(judge.parameters(), RATE, betas=(0.5, 0.999))

    latent, _ = first(images)
    made = decoder(latent)
    again, _ = second(made)
    real, real_features = judge(images)
    _, fake_features = judge(made)
    losses = {
        "adversarial": F.mse_loss(fake_features, real_features),
        "reconstruction": F.l1_loss(made, images),
        "latent": F.mse_loss(again, latent),
    }
    total = losses["adversarial"] + 50 * losses["reconstruction"] + losses["latent"]
    adam_g.zero_grad()
    total.backward()
    of_real, _ = judge(images)
    of_fake, _ = judge(made.detach())
    judged = 0.5 * (
        F.binary_cross_entropy_with_logits(of_real, torch.ones_like(of_real))
        + F.binary_cross_entropy_with_logits(of_fake, torch.zeros_like(of_fake))
    )
    adam_g.step()
    adam_d.zero_grad()
    judged.backward()
    adam_d.step()
    keep("after")
    losses |= {"generator_loss": total, "discriminator_loss": judged}
    stored |= {f"loss/{name}": value.detach() for name, value in losses.items()}
    stored |= {
        "forward/reconstructed": made.detach().permute(0, 2, 3, 1),
        "forward/again": again.detach().flatten(1),
        "forward/latent": latent.detach().flatten(1),
        "forward/logit": real.detach().flatten(1),
        "forward/features": real_features.detach().permute(0, 2, 3, 1),
    }
    arrays = {name: value.numpy() for name, value in stored.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    main()
