"""Makes pytorch_gan.npz: spectral normalisation and gradient penalties in PyTorch, in float64.

    pip install torch && python -m tests.methods.pytorch_gan

PyTorch's own `spectral_norm` and automatic differentiation: nothing of jaxdl is imported.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from experiments.benchmarks import torch_gan


def main():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    images = torch.tanh(torch.randn(4, 1, 16, 16))
    stored = {"image": images.permute(0, 2, 3, 1)}

    judge = torch_gan.Discriminator(16, 4, "spectral")
    layers = [*judge.conv, judge.dense]
    stored |= {f"spectral/params/{name}": p for name, p in judge.parameters_of_jaxdl().items()}
    stored |= {f"spectral/u/{i}": layer.weight_u.clone() for i, layer in enumerate(layers)}
    logits = judge(images)
    F.softplus(-logits).mean().backward()
    stored |= {
        f"spectral/gradient/{n}": p for n, p in judge.parameters_of_jaxdl(lambda p: p.grad).items()
    }
    stored |= {f"spectral/next_u/{i}": layer.weight_u.clone() for i, layer in enumerate(layers)}
    stored["spectral/logits"] = logits.detach()

    judge = torch_gan.Discriminator(16, 4, "none")
    stored |= {f"penalty/params/{name}": p for name, p in judge.parameters_of_jaxdl().items()}
    for name in ("gradient_penalty", "r1"):
        leaf = images.clone().requires_grad_()
        slope = torch.autograd.grad(judge(leaf).sum(), leaf, create_graph=True)[0].flatten(1)
        squared = (slope**2).sum(1)
        penalty = (slope.norm(2, 1) - 1) ** 2 if name == "gradient_penalty" else squared / 2
        judge.zero_grad()
        penalty.mean().backward()
        stored[f"penalty/{name}"] = penalty.detach()
        # The last layer's bias has no part in a slope.
        gradient = judge.parameters_of_jaxdl(
            lambda p: torch.zeros_like(p) if p.grad is None else p.grad
        )
        stored |= {f"penalty/{name}_gradient/{key}": value for key, value in gradient.items()}
    arrays = {name: value.numpy() for name, value in stored.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **arrays)


if __name__ == "__main__":
    main()
