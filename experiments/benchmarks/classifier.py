"""One supervised training step of a small MNIST network, for timing.

Convolution 1 to 16, maximum of 2 x 2, convolution 16 to 32, maximum of 2 x 2, 16 units with ReLU,
10 logits: 160 + 4,640 + 25,104 + 170 = 30,074 parameters. SGD at 0.1.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import numpy as np
import optax

from jaxdl.nn.conv import Conv
from jaxdl.train.state import TrainState
from jaxdl.train.step import compile_step, data_mesh, gradient_step


class Net(nn.Module):
    """The network, on jaxdl's convolution and pooling, or on those of `flax.linen`."""

    naive: bool = False
    """Whether those of `flax.linen`."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Maps images [B, 28, 28, 1] to logits [B, 10]."""
        for features in (16, 32):
            if self.naive:
                images = nn.max_pool(nn.Conv(features, (3, 3))(images), (2, 2), (2, 2))
            else:
                images = Conv(features, max_pool=2)(images)
        hidden = nn.relu(nn.Dense(16)(images.reshape(images.shape[0], -1)))
        return nn.Dense(10)(hidden)


def batch(size: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Returns random images [size, 28, 28, 1] and labels, always the same."""
    generator = np.random.default_rng(0)
    images = generator.random((size, 28, 28, 1), np.float32)
    return images, generator.integers(0, 10, size, dtype=np.int32)


def jax_step(
    images: np.ndarray, labels: np.ndarray, steps_per_call: int, *, naive: bool = False
) -> Callable[[], float]:
    """Returns `steps_per_call` SGD steps on one batch, which give the loss before the first."""
    network, optimizer = Net(naive), optax.sgd(0.1)

    def loss(params, extra, key, batch):
        logits = network.apply({"params": params}, batch["image"])
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return losses.mean(), (extra, {})

    on_cpu = jax.default_backend() == "cpu"
    # On a CPU, as many images at once as the cache of a core holds.
    at_once = 4
    mesh = None if naive else data_mesh(batch=len(images) // at_once)
    step = gradient_step(loss, optimizer, microbatch=at_once if on_cpu and not naive else None)
    call = compile_step(
        step, mesh=mesh, steps_per_call=steps_per_call, sample=lambda key, data: data
    )
    data = jax.device_put({"image": images, "label": labels})
    params = network.init(jax.random.key(0), data["image"])["params"]
    state = TrainState.start(params, optimizer, (), jax.random.key(0))

    def run():
        nonlocal state
        state, metrics = call(state, data)
        return float(metrics["loss"][0])

    return run
