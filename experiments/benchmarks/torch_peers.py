"""The same meta-learning step and the same classifier step in PyTorch, as its users write them.

Images and kernels are turned by 180 degrees: PyTorch's `padding=1` puts the zeros of a convolution
with stride 2 where "SAME" does not, and turning is cheaper at run time than a padding of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
torch.backends.cudnn.allow_tf32 = False  # as `contenders.use_float32`


class Conv4(torch.nn.Module):
    """The strided Conv4 of `jaxdl.nn.fewshot`, from its parameters."""

    def __init__(self, params: dict[str, Any]):
        super().__init__()
        arrays = []
        for layer in range(4):
            conv, norm = params[f"Conv_{layer}"], params[f"Normalise_{layer}"]["BatchNorm_0"]
            kernel = np.asarray(conv["kernel"])[::-1, ::-1].transpose(3, 2, 0, 1)
            arrays += [kernel, conv["bias"], norm["scale"], norm["bias"]]
        head = np.asarray(params["Dense_0"]["kernel"])
        way = head.shape[1]
        head = head.reshape(2, 2, -1, way)[::-1, ::-1].transpose(3, 2, 0, 1).reshape(way, -1)
        for index, array in enumerate([*arrays, head, params["Dense_0"]["bias"]]):
            tensor = torch.tensor(np.array(array), device=DEVICE)
            self.register_parameter(f"p{index}", torch.nn.Parameter(tensor))

    def forward(self, images):
        """Maps images [B, 1, 28, 28] to logits [B, N]."""
        return logits(list(self.parameters()), images)


def logits(params: list[torch.Tensor], images: torch.Tensor) -> torch.Tensor:
    """Maps images [B, 1, 28, 28] to logits [B, N] with any parameters."""
    for layer in range(4):
        kernel, bias, scale, shift = params[4 * layer : 4 * layer + 4]
        images = F.conv2d(images, kernel, bias, stride=2, padding=1)
        images = F.relu(F.batch_norm(images, None, None, scale, shift, training=True, eps=1e-3))
    return F.linear(images.flatten(1), *params[-2:])


def tensors(batch: dict[str, Any]) -> list[torch.Tensor]:
    """Returns support images [T, N*K, 1, H, W] and labels, and the same of the queries."""
    out = []
    for part in ("support", "query"):
        images = np.asarray(batch[part]["image"])[:, :, ::-1, ::-1].transpose(0, 1, 4, 2, 3)
        out += [images.copy(), np.asarray(batch[part]["label"], np.int64)]
    return [torch.tensor(array, device=DEVICE) for array in out]


def meta_steps(
    params: dict[str, Any], batch: dict[str, Any], *, lr: float, steps: int, first_order: bool
) -> dict[str, Callable[[], tuple[float, float]] | str]:
    """Returns one full outer step (Adam) by name, each giving loss and gradient norm before it.

    A string in place of a step says why there is none.
    """
    data = tensors(batch)

    def make(gradients):
        model = Conv4(params)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)

        def step():
            optimizer.zero_grad()
            loss = gradients(model)
            norm = torch.sqrt(sum((p.grad**2).sum() for p in model.parameters()))
            optimizer.step()
            return float(loss), float(norm)

        return step

    def loop(model):
        total = 0.0
        for support, label, query, target in zip(*data, strict=True):
            weights = list(model.parameters())
            for _ in range(steps):
                loss = F.cross_entropy(logits(weights, support), label)
                gradient = torch.autograd.grad(loss, weights, create_graph=not first_order)
                weights = [w - lr * g for w, g in zip(weights, gradient, strict=True)]
            loss = F.cross_entropy(logits(weights, query), target) / len(data[0])
            loss.backward()
            total += loss.detach()
        return total

    def functional(model):
        def task_loss(weights, support, label, query, target):
            for _ in range(steps):
                gradient = torch.func.grad(lambda w: F.cross_entropy(logits(w, support), label))(
                    weights
                )
                if first_order:
                    gradient = [g.detach() for g in gradient]
                weights = [w - lr * g for w, g in zip(weights, gradient, strict=True)]
            return F.cross_entropy(logits(weights, query), target)

        weights = [p.detach() for p in model.parameters()]
        over_tasks = torch.func.vmap(torch.func.grad_and_value(task_loss), (None, 0, 0, 0, 0))
        gradients, losses = over_tasks(weights, *data)
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient.mean(0)
        return losses.mean()

    try:
        from learn2learn.algorithms import MAML
    except ImportError as error:
        wrapped = f"not measured: {error}"
    else:

        def learn2learn(model):
            total = 0.0
            learner = MAML(model, lr, first_order=first_order)
            for support, label, query, target in zip(*data, strict=True):
                clone = learner.clone()
                for _ in range(steps):
                    clone.adapt(F.cross_entropy(clone(support), label))
                loss = F.cross_entropy(clone(query), target) / len(data[0])
                loss.backward()
                total += loss.detach()
            return total

        wrapped = make(learn2learn)
    return {
        "PyTorch, loop with create_graph": make(loop),
        "PyTorch, torch.func": make(functional),
        "learn2learn": wrapped,
    }


def classifier_step(images: np.ndarray, labels: np.ndarray) -> Callable[[], float]:
    """Returns one SGD step of the MNIST network of `classifier.Net` on a batch [B, 28, 28, 1]."""
    nn = torch.nn
    model = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1568, 16), nn.ReLU(), nn.Linear(16, 10)),
    ).to(DEVICE)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    inputs = torch.tensor(images.transpose(0, 3, 1, 2).copy(), device=DEVICE)
    targets = torch.tensor(labels.astype(np.int64), device=DEVICE)

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def matmul(side: int) -> Callable[[], None]:
    """Returns a product of two square matrices of 32-bit floats."""
    left = torch.ones(side, side, device=DEVICE)

    def product():
        (left @ left)[0, 0].item()

    return product
