import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.pool import max_pool, pool

CASES = [
    {"window": 2},
    {"window": 3, "stride": 2},
    {"window": 3, "stride": 2, "ceil": True},
    {"window": 3, "stride": 2, "padding": 1},
    {"window": 2, "stride": 3, "padding": 1, "ceil": True},
]


def by_hand(image, kind, window, stride=None, padding=0, ceil=False):
    """One window after the other, cut off at the edges."""
    stride = stride or window
    out = []
    for size in image.shape[:2]:
        room = size + 2 * padding - window
        count = (-(-room // stride) if ceil else room // stride) + 1
        if ceil and (count - 1) * stride >= size + padding:
            count -= 1
        starts = [stride * i - padding for i in range(count)]
        out.append([(max(start, 0), min(start + window, size)) for start in starts])
    reduce = {"max": np.max, "average": np.mean, "l2": lambda v: np.sqrt((v * v).sum())}[kind]
    return np.array([[reduce(image[a:b, c:d]) for c, d in out[1]] for a, b in out[0]])


@pytest.mark.parametrize("kind", ["max", "average", "l2"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_windows_one_by_one(case, kind):
    images = jax.random.normal(jax.random.key(0), (2, 7, 8, 3))
    got = jax.jit(lambda images: pool(images, kind=kind, **case))(images)
    for index in np.ndindex(2, 3):
        expected = by_hand(np.asarray(images)[index[0], ..., index[1]], kind, **case)
        np.testing.assert_allclose(got[index[0], ..., index[1]], expected, rtol=1e-5)


def test_the_notes_sizes():
    images = jnp.zeros((1, 100, 100, 1))
    assert pool(images, 3, stride=2).shape == (1, 49, 49, 1)  # PyTorch's default
    assert pool(images, 3, stride=2, ceil=True).shape == (1, 50, 50, 1)  # the notes'


def test_the_fast_maximum_is_the_same():
    images = jax.random.normal(jax.random.key(0), (2, 7, 6, 3))
    np.testing.assert_array_equal(max_pool(images), pool(images, 2))


def test_gradients_at_zero_are_finite_and_a_quarter_is_kept():
    gradient = jax.grad(lambda images: pool(images, 2, kind="l2").sum())(jnp.zeros((1, 4, 4, 1)))
    assert not gradient.any()
    images = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
    assert (jax.grad(lambda images: pool(images, 2).sum())(images) != 0).sum() == 4


def test_too_much_padding_is_refused():
    with pytest.raises(ValueError, match="more than half of the window"):
        pool(jnp.zeros((1, 4, 4, 1)), 2, padding=2)
