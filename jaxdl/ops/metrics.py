"""Metrics that stay exact over ragged batches."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Moments(NamedTuple):
    """Weighted sums from which a mean and its interval follow; those of two batches add up."""

    total: jax.Array  # [...], sum of the values
    total_of_squares: jax.Array  # [...]
    count: jax.Array  # type: ignore[assignment]  # [], how many values (episodes, images) were summed

    @classmethod
    def of(cls, values: jax.Array, weight: jax.Array) -> "Moments":
        """Sums values over their first axis.

        Args:
          values: [B, ...], one value per episode or example.
          weight: [B], 1 for a real entry, 0 for padding.

        Returns:
          Moments with leaves of shape [...].
        """
        totals = jnp.tensordot(weight, values, axes=1)
        return cls(totals, jnp.tensordot(weight, values * values, axes=1), weight.sum())

    def at(self, index: int) -> "Moments":
        """Returns the moments of one entry of the values' last axis."""
        return Moments(self.total[..., index], self.total_of_squares[..., index], self.count)

    @property
    def mean(self):
        """The mean value, [...]."""
        return self.total / self.count

    @property
    def ci95(self):
        """Half width of the normal 95 % interval of the mean, 1.96 s / sqrt(n), [...].

        s is the standard deviation with n - 1 in the denominator; 0 when there is one value.
        """
        scatter = self.total_of_squares - self.count * self.mean**2
        variance = abs(scatter) / (self.count - 1 + (self.count == 1))
        return 1.96 * (variance / self.count) ** 0.5
