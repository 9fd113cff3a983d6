import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.data.clutter import cluttered


def test_every_digit_is_whole_and_the_pieces_are_of_others():
    # Image 0 is a square of 200, the others are of 50.
    images = jnp.full((3, 10, 10, 1), 50, jnp.uint8).at[0].set(200)
    made = cluttered(jax.random.key(0), images, jnp.zeros(40, int), size=30, pieces=4, piece=4)
    assert made.shape == (40, 30, 30, 1)
    assert made.dtype == jnp.uint8
    places = set()
    for canvas in np.asarray(made)[..., 0]:
        assert set(np.unique(canvas)) <= {0, 50, 200}
        count = (canvas == 200).sum()
        # The pieces may be of image 0 too, so at least its 100 pixels, all at one place.
        assert count >= 100
        windows = np.lib.stride_tricks.sliding_window_view(canvas == 200, (10, 10)).all((2, 3))
        assert windows.any()
        places.add(tuple(np.argwhere(windows)[0]))
    assert len(places) > 30


def test_the_same_key_gives_the_same_and_another_another():
    images = jax.random.randint(jax.random.key(1), (5, 8, 8, 1), 0, 255).astype(jnp.uint8)
    make = jax.jit(lambda key: cluttered(key, images, jnp.arange(5), size=20, piece=3))
    np.testing.assert_array_equal(make(jax.random.key(0)), make(jax.random.key(0)))
    assert (make(jax.random.key(0)) != make(jax.random.key(1))).any()
