"""To go on from what another network has learned: load a part of it, freeze it, or train it slower.

A leaf of a pytree is named by its path, such as `params/Conv_0/kernel`; patterns are those of
`fnmatch`: `*` stands for any letters, also for `/`.
"""

import dataclasses
import fnmatch
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax


class Loaded(NamedTuple):
    """What `load` did with each leaf that the pattern matches, by path."""

    loaded: tuple[str, ...]
    """Taken over."""
    missing: tuple[str, ...]
    """Not in the source: left as they were."""
    mismatched: tuple[str, ...]
    """Of another shape in the source: left as they were."""

    def __str__(self) -> str:
        """One line for a log."""
        said = [f"{len(self.loaded)} leaves loaded"]
        for name in ("missing", "mismatched"):
            if paths := getattr(self, name):
                said.append(f"{len(paths)} {name}: {', '.join(paths)}")
        return "; ".join(said)


def load(into: Any, source: Any, pattern: str = "*") -> tuple[Any, Loaded]:
    """Takes over the leaves of another pytree that are at the same paths and of the same shapes.

    Args:
      into: pytree of arrays, such as the variables of a network that was just initialised.
      source: pytree of arrays, such as the variables of a trained one.
      pattern: which leaves of `into` are meant.

    Returns:
      (the pytree, what was done).

    Raises:
      ValueError: the pattern matches no leaf.
    """
    there = dict(_leaves(source))
    found: dict[str, list[str]] = {"loaded": [], "missing": [], "mismatched": []}

    def take(path, leaf):
        name = _name(path)
        if not fnmatch.fnmatchcase(name, pattern):
            return leaf
        if name not in there:
            found["missing"].append(name)
        elif there[name].shape != leaf.shape:
            found["mismatched"].append(name)
        else:
            found["loaded"].append(name)
            return there[name].astype(leaf.dtype)
        return leaf

    taken = jax.tree_util.tree_map_with_path(take, into)
    if not any(found.values()):
        raise ValueError(
            f"no leaf matches {pattern!r}; there are {', '.join(name for name, _ in _leaves(into))}"
        )
    return taken, Loaded(**{name: tuple(paths) for name, paths in found.items()})


def at_rates(
    optimizer: optax.GradientTransformation, factors: Mapping[str, float]
) -> optax.GradientTransformation:
    """Makes an optimizer that changes some parameters less, or not at all.

    Args:
      optimizer: whatever it changes is multiplied by the factor.
      factors: by pattern of the parameter's path; the first that matches counts, and 1 where none
        does. Leaves of factor 0 are frozen: they stay bit for bit, also with weight decay, and the
        optimizer has no state for them.
    """

    def label(params):
        def of(path, leaf):
            del leaf
            matching = (p for p in factors if fnmatch.fnmatchcase(_name(path), p))
            return next(matching, "")

        return jax.tree_util.tree_map_with_path(of, params)

    parts = {
        pattern: optax.chain(optimizer, optax.scale(factor)) if factor else optax.set_to_zero()
        for pattern, factor in factors.items()
    }
    return optax.multi_transform({"": optimizer} | parts, label)


@dataclasses.dataclass(frozen=True)
class FrozenStatistics:
    """A network some of whose batch normalisations are frozen too, with its own `init` and `apply`.

    Without it the frozen layers of a network would see inputs of other statistics than those they
    were trained with, and their stored ones would go on moving.
    """

    network: nn.Module
    """`(images, train=bool) -> ...`, see `jaxdl.nn.classify`; normalisations take
    `use_running_average`."""
    pattern: str
    """Of the paths of the modules, such as `Block_*`."""

    def init(self, *args: Any, **options: Any) -> Any:
        """As `flax.linen.Module.init`."""
        return self.network.init(*args, **options)

    def apply(self, *args: Any, **options: Any) -> Any:
        """As `flax.linen.Module.apply`."""

        def intercept(following, args, options, context):
            path = "/".join(context.module.path)
            if "use_running_average" in options and fnmatch.fnmatchcase(path, self.pattern):
                options = {**options, "use_running_average": True}
            return following(*args, **options)

        with nn.intercept_methods(intercept):
            return self.network.apply(*args, **options)


def _leaves(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)]


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
