import jax
import numpy as np
import pytest

from jaxdl.data import images

BYTES = np.array([0, 51, 255], np.uint8)


@pytest.mark.parametrize("compiled", [False, True])
def test_bytes_and_numbers_mean_the_same_pixels(compiled):
    for function, expected in ((images.unit, [0, 0.2, 1]), (images.signed, [-1, -0.6, 1])):
        run = jax.jit(function) if compiled else function
        for pixels in (BYTES, (BYTES / 255).astype(np.float32)):
            np.testing.assert_allclose(run(pixels), expected, atol=1e-6)


def test_digits_grow_and_keep_their_range():
    small = images.digits()["test"]["image"][:5]
    large = images.resize(small, 32)
    assert large.shape == (5, 32, 32, 1)
    assert large.dtype == np.uint8
    assert images.resize(large, 32) is large
    np.testing.assert_allclose(large.mean((1, 2, 3)), small.mean((1, 2, 3)), rtol=0.1)
