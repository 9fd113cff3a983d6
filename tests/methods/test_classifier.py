import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl.methods.supervised import classifier
from jaxdl.nn.classify import SmallCNN
from jaxdl.train.checkpoint import Checkpoints, digest
from jaxdl.train.step import compile_step, data_mesh

NETWORK = SmallCNN(3, (4, 4), 8)


def batch(size):
    label = jnp.arange(size) % 3
    noise = 0.1 * jax.random.normal(jax.random.key(0), (size, 8, 8, 1))
    return {
        "image": noise + label[:, None, None, None] / 3,
        "label": label,
        "weight": jnp.ones(size),
    }


def test_learns_and_is_measured(tmp_path):
    method = classifier.make(classifier.Config(), network=NETWORK, optimizer=optax.adam(1e-2))
    data, step = batch(12), jax.jit(method.train_step)
    state = jax.jit(method.init)(jax.random.key(0), data)
    # Three of twelve images do not count; a third of the others is right by chance.
    padded = data | {"weight": (jnp.arange(12) < 9).astype(float)}
    evaluate = jax.jit(method.eval_step)
    before = evaluate(state, padded)
    assert before["accuracy"].count == 9
    for _ in range(60):
        state, metrics = step(state, data)
    assert evaluate(state, data)["accuracy"].mean == 1
    assert metrics["loss"] < 0.2 * before["loss"].mean
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, metadata={})
        restored, _ = checkpoints.restore(state)
    assert digest(step(restored, data)[0]) == digest(step(state, data)[0])


def test_one_device_equals_eight():
    method, results = (
        classifier.make(classifier.Config(), network=NETWORK, optimizer=optax.sgd(0.1)),
        [],
    )
    for mesh in (None, data_mesh(8)):
        state = jax.jit(method.init)(jax.random.key(0), batch(2))
        state, metrics = compile_step(method.train_step, mesh=mesh)(state, batch(16))
        results.append(jax.device_get((state.params, metrics)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), *results)
