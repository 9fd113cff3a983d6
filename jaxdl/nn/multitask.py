"""Networks with an answer to each of several tasks about the same image.

Shapes: B batch, H W image, C channels, T tasks, A classes of a task, F features.
"""

import flax.linen as nn
import jax


class HardSharing(nn.Module):
    """One trunk that all tasks share, and a head for each (Caruana, 1993)."""

    trunk: nn.Module
    """`(images, train=bool) -> features [B, F]`, which ReLU follows: a classifier of
    `jaxdl.nn.classify` with F classes."""
    classes: tuple[int, ...] = (10, 10)
    """A of each task."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, ...]:
        """Maps [B, H, W, C] to the logits of each task, T times [B, A]."""
        features = nn.relu(self.trunk(images, train=train))
        return tuple(
            nn.Dense(count, name=f"head_{task}")(features)
            for task, count in enumerate(self.classes)
        )


class SoftSharing(nn.Module):
    """A trunk and a head for each task; the trunks may be drawn together by a penalty.

    All leaves of `params["trunk"]` have the tasks as their first axis.
    """

    trunk: nn.Module
    """As in `HardSharing`."""
    classes: tuple[int, ...] = (10, 10)
    """A of each task."""

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool = False) -> tuple[jax.Array, ...]:
        """Maps [B, H, W, C] to the logits of each task, T times [B, A]."""
        trunks = nn.vmap(
            lambda trunk, images: trunk(images, train=train),
            variable_axes={"params": 0, "batch_stats": 0, "intermediates": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=None,
            axis_size=len(self.classes),
        )
        features = nn.relu(trunks(self.trunk, images))
        return tuple(
            nn.Dense(count, name=f"head_{task}")(features[task])
            for task, count in enumerate(self.classes)
        )
