import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.data.two_digits import two_digits


def test_both_images_are_where_they_belong():
    images = jnp.array([50, 100, 200], jnp.uint8)[:, None, None, None] * jnp.ones(
        (1, 10, 10, 1), jnp.uint8
    )
    index = jnp.arange(60) % 3
    made, other = jax.jit(lambda key: two_digits(key, images, index, size=14, shift=2))(
        jax.random.key(0)
    )
    assert made.shape == (60, 14, 14, 1)
    assert made.dtype == jnp.uint8
    places = set()
    for canvas, first, second in zip(np.asarray(made)[..., 0], index, other, strict=True):
        one, two = (int(images[which, 0, 0, 0]) for which in (first, second))
        possible = []
        for up, left, down, right in np.ndindex(3, 3, 3, 3):
            expected = np.zeros((14, 14), np.uint8)
            expected[up : up + 10, left : left + 10] = one
            below = expected[4 - down : 14 - down, 4 - right : 14 - right]
            below[:] = np.maximum(below, two)
            if (expected == canvas).all():
                possible.append((up, left, down, right))
        assert possible
        places.add(possible[0])
    assert len(places) > 20
    assert len({(int(a), int(b)) for a, b in zip(index, other, strict=True)}) == 9


def test_images_that_do_not_fit():
    with pytest.raises(ValueError, match="at least 14, got 12"):
        two_digits(jax.random.key(0), jnp.zeros((3, 10, 10, 1), jnp.uint8), jnp.arange(3), size=12)
