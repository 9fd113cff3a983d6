"""Batch normalisation that differentiates twice with few passes over its input.

Shapes: B batch, C channels.
"""

import contextlib
from collections.abc import Iterator

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015), equal to `flax.linen.BatchNorm`.

    Written as one product and one sum for each channel over a matrix of rows: what is left of the
    gradient is then also one product and one sum, where `(x - mean) * scale` makes XLA write the
    difference to memory.
    """

    momentum: float = 0.99
    """Share of the running statistics that a call keeps; with 0 they are those of the last call."""
    epsilon: float = 1e-5
    """Added to the variance."""
    scale_init: nn.initializers.Initializer = nn.initializers.ones
    """Initializer of the scale, [C]."""
    axis_name: str | None = None
    """The mapped axis whose devices share the statistics, inside `pmap` or `shard_map`."""

    @nn.compact
    def __call__(
        self,
        inputs: jax.Array,
        *,
        use_running_average: bool = False,
        momentum: float | None = None,
    ) -> jax.Array:
        """Maps [B, ..., C] to the same shape.

        The statistics, of all axes but the last, are those of the inputs and go into the collection
        `batch_stats` when that is mutable; with `use_running_average` they are taken from there.
        A `momentum` is that of this call in place of the module's.
        """
        channels = inputs.shape[-1:]
        scale = self.param("scale", self.scale_init, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels)
        rows = inputs.reshape(-1, *channels)
        chex.assert_rank(rows, 2)
        if use_running_average:
            mean, var = running_mean.value, running_var.value
        else:
            mean, square = rows.mean(0), (rows * rows).mean(0)
            if self.axis_name is not None and not self.is_initializing():
                mean, square = jax.lax.pmean((mean, square), self.axis_name)
            var = square - mean * mean
            var = jnp.where(var > 0, var, 0)  # the gradient of a maximum is less sure, see `pool`
            if self.is_mutable_collection("batch_stats") and not self.is_initializing():
                keep = self.momentum if momentum is None else momentum
                running_mean.value = keep * running_mean.value + (1 - keep) * mean
                running_var.value = keep * running_var.value + (1 - keep) * var
        factor = scale * jax.lax.rsqrt(var + self.epsilon)
        return (rows * factor + (bias - mean * factor)).reshape(inputs.shape)


@contextlib.contextmanager
def own_statistics() -> Iterator[None]:
    """Lets every `BatchNorm` applied in it leave the statistics of that call alone.

    For few-shot learning, which normalises a set of images with the statistics of another: those of
    one call, not an average over calls.
    """

    def intercept(following, args, options, context):
        if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
            options = {**options, "momentum": 0.0}
        return following(*args, **options)

    with nn.intercept_methods(intercept):
        yield
