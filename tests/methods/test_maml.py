"""MAML against closed forms, finite differences, loops, and its own promises."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.fewshot import maml
from jaxdl.methods.fewshot.inner import adapt
from jaxdl.methods.fewshot.learner import cross_entropy, outputs
from jaxdl.nn.fewshot import MLP


def square(w, x):
    return 0.5 * (x @ w) ** 2


@pytest.mark.parametrize(
    ("first_order", "support", "query", "loss", "gradient"),
    [  # torchmeta, tests/utils/test_gradient_based.py; by hand below
        (False, [1.0, 2, 3], [4.0, 5, 6], 49612.5, [3780, 8505, 13230]),
        (True, [4.0, 5, 6], [1.0, 2, 3], 340312.5, [-825, -1650, -2475]),
    ],
)
def test_closed_forms(first_order, support, query, loss, gradient):
    # First case: x.w = 23, so w' = w - 11.5 x = [-9.5, -20, -29.5], z.w' = -315, loss 315^2 / 2;
    # gradient (I - x x' / 2) (-315 z).
    support, query = jnp.array(support), jnp.array(query)

    def outer(w):
        adapted = adapt(square, w, support, lr=0.5, steps=1, first_order=first_order)
        return square(adapted, query)

    got = jax.value_and_grad(outer)(jnp.array([2.0, 3, 5]))
    np.testing.assert_allclose(got[0], loss, rtol=1e-6)
    np.testing.assert_allclose(got[1], gradient, rtol=1e-6)


def test_adapt_takes_any_pytree_and_any_number_of_steps():
    # On 0.5 |w|^2 each step multiplies w by 1 - lr.
    params = {"a": jnp.ones((2, 3)), "b": (jnp.full(4, 2.0),)}

    def loss(params, _):
        return 0.5 * sum(jnp.sum(p**2) for p in jax.tree.leaves(params))

    for steps in (0, 1, 3):
        adapted = adapt(loss, params, None, lr=0.1, steps=steps)
        jax.tree.map(
            lambda a, p, s=steps: np.testing.assert_allclose(a, p * 0.9**s, rtol=1e-6),
            adapted,
            params,
        )


def batch(tasks=2, way=3, shot=2, queries=4, size=6, key=0):
    keys = jax.random.split(jax.random.key(key), 2)

    def part(key, count):
        return {
            "image": jax.random.uniform(key, (tasks, way * count, size, size, 1)),
            "label": jnp.tile(jnp.repeat(jnp.arange(way), count), (tasks, 1)),
        }

    return {"support": part(keys[0], shot), "query": part(keys[1], queries)}


def small(**options):
    """A small method whose head does not start at zero, so that every gradient is at work."""
    config = maml.Config(**{"way": 3, "eval_inner_steps": 2, "inner_lr": 0.1} | options)
    kind = "group" if config.normalisation == "group" else "batch"
    network = MLP(3, features=(32, 32), normalisation=kind)
    method = maml.make(config, network=network, optimizer=optax.sgd(1.0))
    state = jax.jit(method.init)(jax.random.key(0), batch())
    noise = jax.random.normal(jax.random.key(1), state.params["Dense_2"]["kernel"].shape)
    state.params["Dense_2"]["kernel"] = noise
    return method, state, maml.learner(config, network=network).predict, network


def meta_gradient(method, state, batch):
    """The gradient, read off a step of SGD at rate 1."""
    after, metrics = method.train_step(state, batch)
    return jax.tree.map(jnp.subtract, state.params, after.params), metrics


compiled_meta_gradient = jax.jit(meta_gradient, static_argnums=0)


def assert_close(got, expected, tolerance):
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        lambda g, e: np.testing.assert_allclose(g, e, atol=tolerance * scale, rtol=0), got, expected
    )


@pytest.mark.parametrize("steps", [1, 3, 5])
@pytest.mark.parametrize("normalisation", ["transductive", "support", "group"])
def test_meta_gradient_equals_finite_differences(steps, normalisation):
    with jax.enable_x64(True):
        data = jax.tree.map(lambda x: x.astype(float) if x.dtype == jnp.float32 else x, batch(1))
        method, state, *_ = small(inner_steps=steps, normalisation=normalisation)
        state = state._replace(params=jax.tree.map(lambda p: p.astype(float), state.params))
        gradient, _ = compiled_meta_gradient(method, state, data)
        loss = jax.jit(
            lambda params: method.train_step(state._replace(params=params), data)[1]["loss"]
        )
        keys = iter(jax.random.split(jax.random.key(5), 100))
        direction = jax.tree.map(
            lambda p: jax.random.normal(next(keys), p.shape, float), state.params
        )
        slope = sum(
            jnp.vdot(g, d)
            for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
        )

        def moved(by):
            return loss(jax.tree.map(lambda p, d: p + by * d, state.params, direction))

        h = 1e-7  # small, because ReLU has kinks; float64 leaves eight digits
        np.testing.assert_allclose((moved(h) - moved(-h)) / (2 * h), slope, rtol=1e-5)


def test_first_order_gradient_is_the_query_gradient_at_the_adapted_parameters():
    config = {"inner_steps": 3, "first_order": True}
    method, state, _, network = small(**config)
    task = jax.tree.map(lambda leaf: leaf[0], batch(1))

    def loss(params, part):
        return cross_entropy(outputs(network, params, part["image"]), part["label"])

    learn = jax.jit(lambda params, support: adapt(loss, params, support, lr=0.1, steps=3))
    expected = jax.jit(jax.grad(loss))(learn(state.params, task["support"]), task["query"])
    got, _ = compiled_meta_gradient(method, state, batch(1))
    assert_close(got, expected, 1e-5)
    second, _ = compiled_meta_gradient(*small(inner_steps=3)[:2], batch(1))
    with pytest.raises(AssertionError):
        assert_close(got, second, 1e-2)


@pytest.mark.parametrize("remat", [True, False])
def test_compiled_equals_eager_and_a_loop_over_tasks(remat):
    method, state, *_ = small(inner_steps=2, remat=remat)
    data = batch(3)
    together, metrics = meta_gradient(method, state, data)
    compiled, _ = compiled_meta_gradient(method, state, data)
    assert_close(compiled, together, 1e-5)
    alone = [
        compiled_meta_gradient(method, state, jax.tree.map(lambda leaf, t=t: leaf[t : t + 1], data))
        for t in range(3)
    ]
    mean = jax.tree.map(lambda *leaves: sum(leaves) / 3, *(gradient for gradient, _ in alone))
    assert_close(together, mean, 1e-5)
    np.testing.assert_allclose(metrics["loss"], np.mean([m["loss"] for _, m in alone]), rtol=1e-5)


def predictions(normalisation="transductive"):
    """Logits of all the queries of a task together, and of the first one alone."""
    _, state, predict, _ = small(normalisation=normalisation)
    predict = jax.jit(predict)
    task = jax.tree.map(lambda leaf: leaf[0], batch(1))
    images = task["query"]["image"]
    return (
        predict(state.params, state.extra, task["support"], images),
        predict(state.params, state.extra, task["support"], images[:1]),
    )


def test_inductive_predictions_do_not_depend_on_the_other_queries():
    together, alone = predictions()
    assert together["inductive"].shape == (3, 12, 3)
    np.testing.assert_allclose(alone["inductive"], together["inductive"][:, :1], atol=1e-4)
    difference = alone["transductive"] - together["transductive"][:, :1]
    assert np.abs(difference).max() > 1e-2


def test_group_normalisation_makes_both_modes_equal():
    together, alone = predictions("group")
    np.testing.assert_allclose(together["transductive"], together["inductive"], atol=1e-5)
    np.testing.assert_allclose(alone["transductive"], together["transductive"][:, :1], atol=1e-5)


def test_evaluation_measures_every_step_and_leaves_padding_out():
    method, state, *_ = small()
    data = batch(3)
    eval_step = jax.jit(method.eval_step)
    whole = eval_step(state, data | {"weight": jnp.array([1.0, 1, 0])})
    part = eval_step(state, jax.tree.map(lambda x: x[:2], data) | {"weight": jnp.ones(2)})
    assert set(whole) == {
        f"{name}/{mode}{after}"
        for name in ("accuracy", "loss")
        for mode in ("transductive", "inductive")
        for after in ("", *(f"/after_{steps}_steps" for steps in range(3)))
    }
    assert whole["loss/inductive"] == whole["loss/inductive/after_2_steps"]
    for name, moments in whole.items():
        assert moments.mean.shape == ()
        np.testing.assert_allclose(moments.mean, part[name].mean, rtol=1e-5)


def test_the_loss_falls_on_one_task():
    method = maml.make(maml.Config(way=3), network=MLP(3), optimizer=optax.adam(1e-2))
    data = batch(1)
    state = jax.jit(method.init)(jax.random.key(0), data)
    step = jax.jit(method.train_step)
    losses = []
    for _ in range(15):
        state, metrics = step(state, data)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.3 * losses[0]
    assert state.step == 15


@pytest.mark.parametrize(
    "wrong", [{"way": 1}, {"inner_lr": 0.0}, {"inner_steps": -1}, {"inner_lr": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=r"way|rate"):
        maml.make(dataclasses.replace(maml.Config(), **wrong))
