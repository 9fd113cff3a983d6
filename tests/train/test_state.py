import jax.numpy as jnp
import numpy as np

from jaxdl.train.state import averaged


def test_the_average_keeps_its_share_of_every_leaf():
    old = {"params": jnp.array([1.0]), "batch_stats": jnp.array([10.0])}
    new = {"params": jnp.array([3.0]), "batch_stats": jnp.array([20.0])}
    for step, decay, keep in ((0, 0.9, 0.1), (8, 0.9, 0.5), (10_000, 0.9, 0.9), (8, 0.0, 0.0)):
        now = averaged(old, new, jnp.array(step), decay)
        np.testing.assert_allclose(now["params"], keep * 1 + (1 - keep) * 3, rtol=1e-6)
        np.testing.assert_allclose(now["batch_stats"], keep * 10 + (1 - keep) * 20, rtol=1e-6)
