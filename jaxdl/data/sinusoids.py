"""Sine waves to regress, from few points each (Finn et al., 2017, section 5.1).

Shapes: K support points, Q query points.
"""

from typing import Any

import jax
import jax.numpy as jnp


def sample_sinusoid(key: jax.Array, shot: int, queries: int) -> dict[str, Any]:
    """Draws one task: y = amplitude sin(x - phase).

    Args:
      key: a typed PRNG key; the task is a pure function of it.
      shot: K.
      queries: Q.

    Returns:
      `support`: {`x` [K, 1] in [-5, 5], `y` [K, 1]}, `query`: the same with Q, `amplitude` in
      [0.1, 5] and `phase` in [0, pi].
    """
    amplitude_key, phase_key, x_key = jax.random.split(key, 3)
    amplitude = jax.random.uniform(amplitude_key, minval=0.1, maxval=5.0)
    phase = jax.random.uniform(phase_key, minval=0.0, maxval=jnp.pi)
    x = jax.random.uniform(x_key, (shot + queries, 1), minval=-5.0, maxval=5.0)
    y = amplitude * jnp.sin(x - phase)
    return {
        "support": {"x": x[:shot], "y": y[:shot]},
        "query": {"x": x[shot:], "y": y[shot:]},
        "amplitude": amplitude,
        "phase": phase,
    }
