"""What the second derivatives say of a point: minimum, maximum or saddle.

Shapes: D parameters, K eigenvalues.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

Kind = Literal["minimum", "maximum", "saddle", "flat", "not stationary"]


def hessian_product(function: Callable[[Any], jax.Array], params: Any, direction: Any) -> Any:
    """Returns the Hessian of a scalar function times a direction, without making the Hessian.

    Args:
      function: `params -> scalar`.
      params: pytree of floating-point arrays.
      direction: as `params`.
    """
    return jax.jvp(jax.grad(function), (params,), (direction,))[1]


def extreme_eigenvalues(
    function: Callable[[Any], jax.Array], params: Any, key: jax.Array, *, products: int = 32
) -> np.ndarray:
    """Estimates eigenvalues of the Hessian by Lanczos' iteration.

    The largest and the smallest are found first; with D products all are exact, as long as none
    occurs twice. Every new vector is made orthogonal to all before, twice, which rounding requires.

    Args:
      function: `params -> scalar`.
      params: pytree of D floating-point numbers.
      key: a typed PRNG key, for the first vector.
      products: of the Hessian and a vector, at most D.

    Returns:
      Eigenvalues in rising order, [K], K at most `products`, less when the vectors that follow from
      the first one are fewer.
    """
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def product(vector):
        return ravel_pytree(hessian_product(function, params, unravel(vector)))[0]

    start = np.asarray(jax.random.normal(key, flat.shape), np.float64)
    basis = [start / np.linalg.norm(start)]
    diagonal, beside = [], []
    for _ in range(min(products, flat.size)):
        image = np.asarray(product(jnp.asarray(basis[-1], flat.dtype)), np.float64)
        diagonal.append(basis[-1] @ image)
        rest = image
        for _ in range(2):
            rest = rest - np.stack(basis).T @ (np.stack(basis) @ rest)
        length = np.linalg.norm(rest)
        beside.append(length)
        if length <= 1e-6 * max(np.linalg.norm(image), np.abs(diagonal).max(), 1e-30):
            break
        basis.append(rest / length)
    count = len(diagonal)
    off = beside[: count - 1]
    return np.linalg.eigvalsh(np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1))


def stationary_point(
    function: Callable[[Any], jax.Array],
    params: Any,
    key: jax.Array,
    *,
    products: int = 32,
    tolerance: float = 1e-4,
) -> tuple[Kind, np.ndarray]:
    """Says what kind of stationary point the parameters are at.

    Args:
      function: `params -> scalar`, twice differentiable there.
      params: pytree of floating-point arrays.
      key: see `extreme_eigenvalues`.
      products: see `extreme_eigenvalues`.
      tolerance: gradients of a smaller norm count as none; of eigenvalues, those smaller than it
        times the largest.

    Returns:
      (kind, eigenvalues): `minimum` when no eigenvalue is negative and `maximum` when none is
      positive, as far as second derivatives can say; `saddle` when there are both; `flat` when all
      are 0; or `not stationary`.

    >>> # The notes' network of two weights, (1 - a * b)^2: 0 is a saddle.
    >>> kind, values = stationary_point(
    ...     lambda w: (1 - w["a"] * w["b"]) ** 2, {"a": 0.0, "b": 0.0}, jax.random.key(0)
    ... )
    >>> kind, values.round(4).tolist()
    ('saddle', [-2.0, 2.0])
    """
    slope, _ = ravel_pytree(jax.grad(function)(params))
    values = extreme_eigenvalues(function, params, key, products=products)
    if jnp.linalg.norm(slope) > tolerance:
        return "not stationary", values
    limit = tolerance * np.abs(values).max()
    up, down = (values > limit).any(), (values < -limit).any()
    if up and down:
        return "saddle", values
    return ("minimum" if up else "maximum" if down else "flat"), values
