"""Makes pytorch_ganomaly.npz: GANomaly's networks and one update of both in PyTorch, in float64.

    pip install torch && python -m tests.methods.pytorch_ganomaly

The networks, losses and Adam are PyTorch's own, as the benchmark uses them: nothing of jaxdl is
imported. 16 x 16 images, 4 channels next to the image, 6 latent dimensions.
"""

from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks import torch_gan


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    networks = torch_gan.GANomaly(size=16, latent=6, features=4)
    for name, parameter in networks.named_parameters():
        # Rounded to float32, which is how they are stored.
        scale = name.endswith("weight") and "norm" in name
        parameter.data = (0.1 * torch.randn_like(parameter) + scale).float().double()
    images = torch.tanh(torch.randn(4, 1, 16, 16)).float().double()
    stored = {"image": images.permute(0, 2, 3, 1)}
    stored |= {f"before/{name}": p for name, p in networks.parameters_of_jaxdl().items()}
    made, again, latent = networks(images)
    logit, features = networks.discriminator(images)
    forward = {"reconstructed": made.permute(0, 2, 3, 1), "again": again, "latent": latent}
    forward |= {"logit": logit, "features": features.permute(0, 2, 3, 1)}
    losses = torch_gan.ganomaly_step(networks)(images)
    stored |= {f"forward/{name}": value.detach() for name, value in forward.items()}
    stored |= {f"loss/{name}": value for name, value in losses.items()}
    stored |= {f"after/{name}": p for name, p in networks.parameters_of_jaxdl().items()}
    arrays = {name: value.numpy() for name, value in stored.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    main()
