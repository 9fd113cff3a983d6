"""Frozen teachers: any function, or a Flax module whose features are read without a change of it.

Shapes: B batch, H W image, C channels, A classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax


class Teacher(NamedTuple):
    """A frozen teacher."""

    apply: Callable[[Any, jax.Array], tuple[jax.Array, Any]]
    """`(variables, images [B, H, W, C]) -> (logits [B, A], features)`: any function; the features
    may be None when nothing is learned from them."""
    variables: Any
    """Pytree of arrays, which the state keeps and no optimizer sees."""


def teacher(
    module: nn.Module,
    variables: Any,
    *,
    tap: str | None = None,
    mean: float = 0.0,
    deviation: float = 1.0,
) -> Teacher:
    """Makes a teacher of a classifier in `jaxdl.nn` or of any other Flax module.

    Args:
      module: `images -> logits [B, A]`, with its stored statistics when it is called like that.
      variables: of the module: parameters and statistics.
      tap: where its features are, see `tapped`; None when nothing is learned from them.
      mean: subtracted from the pixels first.
      deviation: by which they are divided then.
    """

    def apply(variables, images):
        logits, features, _ = tapped(module, variables, (images - mean) / deviation, tap)
        return logits, features

    return Teacher(apply, variables)


def tapped(
    module: nn.Module, variables: Any, images: jax.Array, tap: str | None, **options: Any
) -> tuple[jax.Array, Any, Any]:
    """Applies a module and reads features inside it, without a change of its code.

    Args:
      module: `images -> logits`.
      variables: of the module.
      images: [B, H, W, C].
      tap: the name of what it sows (`features` in `jaxdl.nn`), or of a submodule whose output is
        meant, `Conv_1` or `Block_3/Conv_0`; None for no features.
      **options: of `module.apply` and of its call.

    Returns:
      (logits, features or None, the new `batch_stats`, {} if there are none).

    Raises:
      ValueError: there is no such name.
    """
    mutable = ["intermediates", *options.pop("mutable", [])]

    def named(inner, method):
        return method == "__call__" and "/".join(inner.path) == tap

    logits, seen = module.apply(
        variables, images, capture_intermediates=named, mutable=mutable, **options
    )
    statistics = seen.get("batch_stats", {})
    if tap is None:
        return logits, None, statistics
    found = seen.get("intermediates", {})
    for name in tap.split("/"):
        if not isinstance(found, dict) or name not in found:
            raise ValueError(
                f"there is nothing to tap at {tap!r}; the network sows "
                f"{sorted(seen.get('intermediates', {}))}"
            )
        found = found[name]
    if isinstance(found, dict):
        found = found["__call__"]
    return logits, found[0], statistics
