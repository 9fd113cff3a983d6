"""What a pytree of arrays is, as text and as a digest: to tell whether it was read back exactly."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxdl.train.state import raw


def digest(tree: Any) -> str:
    """Returns the SHA-256 of the path, type, shape and bytes of every leaf, in hexadecimal.

    Args:
      tree: pytree of arrays and typed PRNG keys, any shapes.
    """
    return digest_of(types_of(tree), host_copy(tree))


def named(tree: Any) -> list[tuple[str, Any]]:
    """Returns every leaf with its path, such as ".params['kernel']"."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in paths]


def types_of(tree: Any) -> dict[str, str]:
    """Returns the type and shape of every leaf by its path, such as "float32[3, 4]"."""
    return {name: type_of(leaf) for name, leaf in named(tree)}


def type_of(leaf: Any) -> str:
    """Returns the type and shape of an array, such as "float32[3, 4]"."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def parsed(text: str) -> tuple[str, tuple[int, ...]]:
    """Returns the name of the type and the shape that `type_of` wrote."""
    dtype, _, sides = text.partition("[")
    return dtype, tuple(int(side) for side in sides.rstrip("]").split(",") if side.strip())


def host_copy(tree: Any) -> dict[str, np.ndarray]:
    """Returns a copy of every leaf by its path; of a typed PRNG key its data."""
    # np.asarray would be a view of a device buffer that the next step is about to overwrite.
    return {name: np.array(raw(leaf)) for name, leaf in named(tree)}


def digest_of(types: Mapping[str, str], host: Mapping[str, np.ndarray]) -> str:
    """Returns the digest of a tree from its `types_of` and its `host_copy`."""
    total = hashlib.sha256()
    for name, kind in types.items():
        total.update(f"{name} {kind}\n".encode())
        total.update(host[name].tobytes())
    return total.hexdigest()


def json_digest(value: Any) -> str:
    """Returns the SHA-256 of a JSON value, whatever the order of its keys, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
