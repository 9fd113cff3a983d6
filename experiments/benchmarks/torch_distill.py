"""The same distillation step in PyTorch, eager, as its users write it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from experiments.benchmarks.torch_peers import DEVICE


class Network(torch.nn.Module):
    """The perceptron or the convolutional network of `jaxdl.nn.classify`, from its parameters."""

    def __init__(self, params: dict[str, Any]):
        super().__init__()
        layers = []
        for kind in ("Conv", "Dense"):
            for layer in range(sum(name.startswith(kind) for name in params)):
                kernel, bias = (
                    torch.tensor(np.array(params[f"{kind}_{layer}"][name]), device=DEVICE)
                    for name in ("kernel", "bias")
                )
                layers += [kernel.permute(3, 2, 0, 1) if kind == "Conv" else kernel.T, bias]
        self.layers = torch.nn.ParameterList(layer.contiguous() for layer in layers)

    def forward(self, images):
        """Maps images [B, C, H, W] to logits [B, A]."""
        *hidden, last = zip(self.layers[::2], self.layers[1::2], strict=True)
        for kernel, bias in hidden:
            if kernel.ndim == 4:
                images = F.relu(F.max_pool2d(F.conv2d(images, kernel, bias, padding=1), 2))
            else:
                images = F.relu(F.linear(_flat(images), kernel, bias))
        return F.linear(_flat(images), *last)


def _flat(images):
    # The order of the parameters, which come from images with the channels last.
    return images.permute(0, 2, 3, 1).flatten(1) if images.ndim == 4 else images


def step(
    student: dict[str, Any],
    teacher: dict[str, Any],
    batches: dict[str, Any],
    *,
    temperature: float,
    hard: float,
    cached: bool,
) -> Callable[[], float]:
    """Returns a step of Adam at 1e-3 on each batch, which give the loss of the first.

    Args:
      student: parameters of the student.
      teacher: parameters of the teacher.
      batches: `image` [K, B, H, W, C] and `label` [K, B].
      temperature: of the soft targets.
      hard: share of the loss with the labels.
      cached: whether the teacher has been asked before.
    """
    student, teacher = Network(student), Network(teacher)
    optimizer = torch.optim.Adam(student.parameters(), 1e-3)
    images = torch.tensor(np.array(batches["image"]).transpose(0, 1, 4, 2, 3).copy(), device=DEVICE)
    labels = torch.tensor(np.array(batches["label"], np.int64), device=DEVICE)

    @torch.no_grad()
    def ask(images):
        return teacher(images)

    before = [ask(each) for each in images] if cached else None

    def one(index):
        wanted = before[index] if cached else ask(images[index])
        logits = student(images[index])
        soft = F.kl_div(
            F.log_softmax(logits / temperature, -1),
            F.log_softmax(wanted / temperature, -1),
            log_target=True,
            reduction="batchmean",
        )
        loss = (1 - hard) * temperature**2 * soft + hard * F.cross_entropy(logits, labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    def run():
        losses = [one(index) for index in range(len(images))]
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        return losses[0].item()

    return run
