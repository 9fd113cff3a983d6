"""The pixel baselines on drawings where the answer is plain."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.methods.fewshot import pixels


def task():
    """Class 0 is a row of ink, class 1 a column; each query is its class, moved by a pixel."""
    images = np.zeros((4, 8, 8, 1), np.float32)
    images[0, 2, 1:7] = images[2, 3, 1:7] = 1
    images[1, 1:7, 5] = images[3, 1:7, 4] = 1
    support = {"image": jnp.asarray(images[:2]), "label": jnp.array([0, 1])}
    return support, jnp.asarray(images[2:])


def test_logits_by_hand():
    support, queries = task()
    # |row 3 - row 2|^2 = 12 pixels that differ; |row 3 - column 5|^2: they share one, 6 + 6 - 2.
    np.testing.assert_allclose(
        pixels.nearest_neighbour(support, queries, 2), [[-12, -10], [-10, -12]]
    )
    # Around its mean, a row is every other row; the pixels of a row at -2.5, -1.5, ... 2.5 are
    # nearest to the two middle ones of a column at +-0.5: sqrt(x^2 + 0.25).
    across = np.mean([np.hypot(x, 0.5) for x in (0.5, 1.5, 2.5)])
    np.testing.assert_allclose(
        pixels.hausdorff(support, queries, 2), [[0, -across], [-across, 0]], rtol=1e-5
    )
    assert list(pixels.hausdorff(support, queries, 2).argmax(-1)) == [0, 1]


@pytest.mark.parametrize("classify", [pixels.nearest_neighbour, pixels.hausdorff, pixels.linear])
def test_the_support_set_is_recognised_in_any_order(classify):
    support, _ = task()
    turned = {name: leaf[::-1] for name, leaf in support.items()}
    for part in (support, turned):
        logits = classify(part, part["image"], 2)
        assert list(logits.argmax(-1)) == list(part["label"])
    np.testing.assert_allclose(
        classify(turned, support["image"], 2), classify(support, support["image"], 2), atol=1e-5
    )
