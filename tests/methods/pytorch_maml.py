"""Makes pytorch_maml.npz: MAML's loss, adapted parameters and gradient in PyTorch, in float64.

    pip install torch && python tests/methods/pytorch_maml.py

Written from the paper's equations alone, by PyTorch's own convolution, normalisation and automatic
differentiation: nothing of jaxdl is imported. Shapes as in `jaxdl.methods.fewshot`: N = 5 ways, 2
shots, 3 queries, 28 x 28 images, 8 channels.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WAY, CHANNELS, RATE = 5, 8, 0.1
FLAT = {"strided": 2 * 2 * CHANNELS, "pooled": CHANNELS}


def parameters(rng, kind):
    made = {}
    for layer in range(4):
        before = CHANNELS if layer else 1
        kernel = rng.normal(0, (9 * before) ** -0.5, (3, 3, before, CHANNELS))
        made[f"Conv_{layer}/kernel"] = kernel
        made[f"Conv_{layer}/bias"] = rng.normal(0, 0.1, CHANNELS)
        made[f"Normalise_{layer}/BatchNorm_0/scale"] = rng.uniform(0.5, 1.5, CHANNELS)
        made[f"Normalise_{layer}/BatchNorm_0/bias"] = rng.normal(0, 0.1, CHANNELS)
    made["Dense_0/kernel"] = rng.normal(0, FLAT[kind] ** -0.5, (FLAT[kind], WAY))
    made["Dense_0/bias"] = rng.normal(0, 0.1, WAY)
    return {name: array.astype(np.float32) for name, array in made.items()}


def logits(params, images, kind):
    """Maps images [B, 28, 28, 1] to logits [B, N]."""
    hidden = images.permute(0, 3, 1, 2)
    for layer in range(4):
        stride = 2 if kind == "strided" else 1
        side = hidden.shape[-1]
        # "SAME": as many outputs as side / stride, rounded up; an odd zero goes after the image.
        zeros = max((-(-side // stride) - 1) * stride + 3 - side, 0)
        before, after = zeros // 2, zeros - zeros // 2
        hidden = F.pad(hidden, (before, after, before, after))
        kernel = params[f"Conv_{layer}/kernel"].permute(3, 2, 0, 1)
        hidden = F.conv2d(hidden, kernel, params[f"Conv_{layer}/bias"], stride=stride)
        scale, offset = (params[f"Normalise_{layer}/BatchNorm_0/{n}"] for n in ("scale", "bias"))
        hidden = F.batch_norm(hidden, None, None, scale, offset, training=True, eps=1e-3)
        hidden = F.relu(hidden)
        hidden = F.max_pool2d(hidden, 2) if kind == "pooled" else hidden
    flat = hidden.permute(0, 2, 3, 1).flatten(1)
    return flat @ params["Dense_0/kernel"] + params["Dense_0/bias"]


def maml(arrays, support, query, kind, steps, first_order):
    """Returns the query loss, the adapted parameters and the meta-gradient."""
    start = {name: torch.tensor(a).double().requires_grad_() for name, a in arrays.items()}
    adapted = start
    for _ in range(steps):
        loss = F.cross_entropy(logits(adapted, support[0], kind), support[1])
        gradient = torch.autograd.grad(loss, list(adapted.values()), create_graph=not first_order)
        adapted = {
            name: value - RATE * change
            for (name, value), change in zip(adapted.items(), gradient, strict=True)
        }
    loss = F.cross_entropy(logits(adapted, query[0], kind), query[1])
    gradient = torch.autograd.grad(loss, list(start.values()))
    return loss, adapted, dict(zip(start, gradient, strict=True))


def main():
    rng = np.random.default_rng(0)
    stored, data = {}, []
    for part, count in (("support", 2), ("query", 3)):
        # Blots, not noise: each image is a small one, enlarged.
        small = rng.integers(0, 256, (WAY * count, 7, 7, 1), np.uint8)
        stored[f"{part}/image"] = images = small.repeat(4, 1).repeat(4, 2)
        stored[f"{part}/label"] = label = np.repeat(np.arange(WAY), count)
        data.append((torch.tensor(images).double() / 255, torch.tensor(label)))
    for kind in FLAT:
        arrays = parameters(rng, kind)
        stored |= {f"{kind}/{name}": array for name, array in arrays.items()}
        for steps, first_order in ((1, True), (5, False)):
            case = f"{kind}/{steps}/{'first' if first_order else 'second'}"
            loss, adapted, gradient = maml(arrays, *data, kind, steps, first_order)
            stored[f"{case}/loss"] = loss.detach().numpy()
            for name in arrays:
                stored[f"{case}/adapted/{name}"] = adapted[name].detach().numpy()
                stored[f"{case}/gradient/{name}"] = gradient[name].numpy()
    stored = {n: a.astype(np.float32) if a.dtype == float else a for n, a in stored.items()}
    np.savez_compressed(Path(__file__).with_suffix(".npz"), **stored)


if __name__ == "__main__":
    main()
