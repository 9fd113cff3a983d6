"""Random changes of training images, to be made inside a compiled step.

Shapes: B batch, H W image, C channels, A classes.
"""

import chex
import jax
import jax.numpy as jnp

from jaxdl.ops.changes import Changes


def change(changes: Changes, key: jax.Array, image: jax.Array) -> jax.Array:
    """Makes all these changes to an image [H, W, C] in [0, 1]."""
    keys = jax.random.split(key, 4)
    limits = {name: getattr(changes, name) for name in ("degrees", "shear", "scale", "shift")}
    if any(limits.values()):
        image = random_affine(keys[0], image, **limits)
    if changes.flip:
        image = flip(keys[1], image)
    if changes.brightness:
        image = brightness(keys[2], image, changes.brightness)
    if changes.noise:
        image = noise(keys[3], image, changes.noise)
    return image


def affine(
    image: jax.Array,
    matrix: jax.Array,
    shift: jax.Array,
    *,
    size: tuple[int, int] | None = None,
) -> jax.Array:
    """Looks up every pixel of the result at another place of the image.

    A pixel at p, counted from the centre, is taken at `matrix @ p + shift`, interpolated between
    the four pixels around that place; outside the image there are zeros.

    Args:
      image: [H, W, C].
      matrix: [2, 2], of rows and columns.
      shift: [2], in pixels.
      size: height and width of the result; None for those of the image.

    Returns:
      [H, W, C], or of that size.

    >>> image = jnp.arange(9.0).reshape(3, 3, 1)
    >>> affine(image, jnp.eye(2), jnp.array([0.0, 0.5]))[1, :, 0].tolist()
    [3.5, 4.5, 2.5]
    """
    chex.assert_rank(image, 3)
    chex.assert_shape([matrix, shift], [(2, 2), (2,)])
    height, width, channels = image.shape
    size = size or (height, width)
    centre, own_centre = ((jnp.array(sides) - 1) / 2 for sides in ((height, width), size))
    grid = jnp.stack(jnp.meshgrid(*map(jnp.arange, size), indexing="ij"), -1)
    place = (grid.reshape(-1, 2) - own_centre) @ matrix.T + centre + shift
    low = jnp.floor(place)
    upper_share = place - low
    flat = image.reshape(-1, channels)
    total = jnp.zeros((len(place), channels), flat.dtype)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        corner = low.astype(jnp.int32) + jnp.array([row, column])
        share = jnp.abs(1 - jnp.array([row, column]) - upper_share).prod(-1)
        inside = ((corner >= 0) & (corner < jnp.array([height, width]))).all(-1)
        index = jnp.where(inside, corner[:, 0] * width + corner[:, 1], 0)
        total += jnp.where(inside, share, 0)[:, None] * flat[index]
    return total.reshape(*size, channels)


def random_affine(
    key: jax.Array,
    image: jax.Array,
    *,
    degrees: float = 10.0,
    shear: float = 0.3,
    scale: float = 0.2,
    shift: float = 1.0,
) -> jax.Array:
    """Turns, shears, stretches and moves an image a little, as another hand might have drawn it.

    The ranges are those of Koch et al., 2015, section 3.3, where each change is made half the time;
    here all are always made, each drawn uniformly.

    Args:
      key: a typed PRNG key.
      image: [H, W, C].
      degrees: the largest angle, either way.
      shear: the largest shear of rows and of columns, as a tangent.
      scale: by how much height and width may become smaller or larger, as a share of 1.
      shift: the largest move, in pixels.

    Returns:
      [H, W, C].
    """
    turn_key, shear_key, scale_key, shift_key = jax.random.split(key, 4)

    def draw(key, limit, shape=()):
        return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

    angle = jnp.deg2rad(draw(turn_key, degrees))
    turned = jnp.array([[jnp.cos(angle), -jnp.sin(angle)], [jnp.sin(angle), jnp.cos(angle)]])
    rows, columns = draw(shear_key, shear, (2,))
    sheared = jnp.array([[1, rows], [columns, 1]])
    stretched = jnp.diag(1 / (1 + draw(scale_key, scale, (2,))))
    return affine(image, turned @ sheared @ stretched, draw(shift_key, shift, (2,)))


def flip(key: jax.Array, image: jax.Array) -> jax.Array:
    """Mirrors an image [H, W, C] left to right, half the time."""
    chex.assert_rank(image, 3)
    return jnp.where(jax.random.bernoulli(key), image[:, ::-1], image)


def brightness(key: jax.Array, image: jax.Array, limit: float) -> jax.Array:
    """Multiplies an image [H, W, C] in [0, 1] by a factor in [1 - limit, 1 + limit], and clips."""
    chex.assert_rank(image, 3)
    return jnp.clip(image * (1 + jax.random.uniform(key, (), minval=-limit, maxval=limit)), 0, 1)


def noise(key: jax.Array, image: jax.Array, deviation: float) -> jax.Array:
    """Adds normal noise to an image [H, W, C] in [0, 1], and clips."""
    chex.assert_rank(image, 3)
    return jnp.clip(image + deviation * jax.random.normal(key, image.shape), 0, 1)


def mixup(
    key: jax.Array, images: jax.Array, targets: jax.Array, alpha: float
) -> tuple[jax.Array, jax.Array]:
    """Mixes each image and its target with another of the batch (Zhang et al., 2018).

    Args:
      key: a typed PRNG key.
      images: [B, H, W, C], in random order: image i is mixed with image B - 1 - i.
      targets: [B, A], probabilities of the classes.
      alpha: the share of an image is drawn from Beta(alpha, alpha), one for each image.

    Returns:
      The mixed images and targets.
    """
    chex.assert_rank([images, targets], [4, 2])
    share = jax.random.beta(key, alpha, alpha, (len(images),))

    def mix(values):
        own = share.reshape(-1, *(1,) * (values.ndim - 1))
        return own * values + (1 - own) * values[::-1]

    return mix(images), mix(targets)
