"""Few-shot episodes, sampled inside the compiled step from images that live on the device.

Shapes: C classes, D drawings of a class, H W image, N ways, K shots, Q queries per way.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.ops.augmentation import random_affine

Rotations = Literal["none", "random", "classes"]
Alphabets = Literal["mixed", "one"]


@dataclass(frozen=True, kw_only=True)
class EpisodeSpec:
    """The static shape of an episode."""

    way: int = 5
    """Classes in an episode (N)."""
    shot: int = 1
    """Labelled drawings of each class (K)."""
    queries: int = 15
    """Drawings of each class to be classified (Q)."""
    rotations: Rotations = "random"
    """`random`: each class of an episode is turned by its own multiple of 90 degrees; `classes`:
    the four rotations of a class are four classes, which may meet in one episode; `none`."""
    alphabets: Alphabets = "mixed"
    """`mixed`: classes of any alphabets; `one`: all the classes of an episode are of one alphabet,
    which is drawn first, among those with enough classes."""

    def check(self, images: Any, alphabet: Any = None) -> None:
        """Raises ValueError when images [C, D, H, W] and alphabets [C] cannot fill an episode."""
        for name in ("way", "shot", "queries"):
            if getattr(self, name) < (2 if name == "way" else 1):
                at_least = 2 if name == "way" else 1
                raise ValueError(f"{name} must be at least {at_least}, got {getattr(self, name)}")
        classes, drawings = images.shape[:2]
        available = classes * (4 if self.rotations == "classes" else 1)
        if self.way > available:
            raise ValueError(f"way is {self.way}, but there are only {available} classes")
        if self.alphabets == "one":
            largest = int(np.bincount(alphabet).max()) * (available // classes)
            if self.way > largest:
                raise ValueError(
                    f"way is {self.way}, but the largest alphabet has only {largest} classes"
                )
        if self.shot + self.queries > drawings:
            raise ValueError(
                f"shot + queries is {self.shot} + {self.queries} = {self.shot + self.queries}, "
                f"but a class has only {drawings} drawings"
            )


def sample_episode(
    key: jax.Array, images: jax.Array, spec: EpisodeSpec, alphabet: jax.Array | None = None
) -> dict[str, Any]:
    """Draws one episode: classes, their drawings, and a rotation for each class.

    Labels are the order in which classes were drawn, so they are a random permutation. Support and
    queries of a class are different drawings with the same rotation.

    Args:
      key: a typed PRNG key; the episode is a pure function of it.
      images: [C, D, H, W] uint8, ink = 255; `spec.check(images)` says whether they suffice.
      spec: the episode's shape.
      alphabet: int [C], below C, the alphabet of every class; None when `spec.alphabets` is
        `mixed`.

    Returns:
      `support`: {`image` [N*K, H, W, 1] float32 in [0, 1], `label` [N*K] int32}, `query`: the same
      with Q, and what they were drawn from: `class` [N], `rotation` [N] (in quarter turns),
      `drawing` [N, K+Q].

    Raises:
      ValueError: `spec.alphabets` is `one`, and there is no `alphabet`.
    """
    class_key, drawing_key, rotation_key = jax.random.split(key, 3)
    images = jnp.asarray(images)
    classes, drawings, height, width = images.shape
    repeated = 4 if spec.rotations == "classes" else 1
    members = None
    if spec.alphabets == "one":
        if alphabet is None:
            raise ValueError("episodes of one alphabet need the alphabet of every class")
        sizes = repeated * jnp.bincount(alphabet, length=classes)
        enough = jnp.where(sizes >= spec.way, 0.0, -jnp.inf)
        drawn = jax.random.categorical(jax.random.fold_in(class_key, 1), enough)
        members = jnp.repeat(alphabet == drawn, repeated)
    chosen = choose(class_key, repeated * classes, spec.way, members)
    if spec.rotations == "classes":
        chosen, rotation = chosen // 4, chosen % 4
    else:
        rotation = jax.random.randint(rotation_key, (spec.way,), 0, 4)
        rotation = rotation if spec.rotations == "random" else jnp.zeros_like(rotation)
    per_class = spec.shot + spec.queries
    drawing = jax.vmap(choose, (0, None, None))(
        jax.random.split(drawing_key, spec.way), drawings, per_class
    )
    pixels = jax.vmap(rotate)(images[chosen[:, None], drawing], rotation)
    pixels = pixels[..., None].astype(jnp.float32) / 255

    def part(pixels):
        label = jnp.repeat(jnp.arange(spec.way, dtype=jnp.int32), pixels.shape[1])
        return {"image": pixels.reshape(-1, height, width, 1), "label": label}

    return {
        "support": part(pixels[:, : spec.shot]),
        "query": part(pixels[:, spec.shot :]),
        "class": chosen,
        "rotation": rotation,
        "drawing": drawing,
    }


def sample_meta_batch(
    key: jax.Array,
    images: jax.Array,
    spec: EpisodeSpec,
    tasks: int,
    alphabet: jax.Array | None = None,
) -> dict[str, Any]:
    """Draws `tasks` episodes; every leaf of the result has the leading axis [tasks]."""
    keys = jax.random.split(key, tasks)
    return jax.vmap(sample_episode, (0, None, None, None))(keys, images, spec, alphabet)


def distort(key: jax.Array, batch: dict[str, Any]) -> dict[str, Any]:
    """Changes every image of a batch of episodes a little, see `ops.augmentation.random_affine`."""
    changed = dict(batch)
    for purpose, part in enumerate(("support", "query")):
        images = batch[part]["image"]
        flat = images.reshape(-1, *images.shape[2:])
        keys = jax.random.split(jax.random.fold_in(key, purpose), len(flat))
        images = jax.vmap(random_affine)(keys, flat).reshape(images.shape)
        changed[part] = batch[part] | {"image": images}
    return changed


def choose(
    key: jax.Array, population: int, count: int, members: jax.Array | None = None
) -> jax.Array:
    """Returns `count` different numbers below `population` in random order, int32 [count].

    Args:
      key: a typed PRNG key.
      population: how many numbers there are.
      count: how many to draw.
      members: bool [population], those that may be drawn, at least `count`; None for all.
    """
    # A partial sort of one random number each; a permutation would sort them all.
    bits = jax.random.bits(key, (population,))
    if members is not None:
        bits = jnp.where(members, bits | 1, 0)
    return jax.lax.top_k(bits, count)[1]


def rotate(images: jax.Array, quarter_turns: jax.Array) -> jax.Array:
    """Turns square images [..., H, W] counter-clockwise by a traced number of quarter turns."""
    branches = [lambda i, turns=turns: jnp.rot90(i, turns, (-2, -1)) for turns in range(4)]
    return jax.lax.switch(quarter_turns, branches, images)
