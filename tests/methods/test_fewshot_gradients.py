"""What the gradient-based few-shot methods share with MAML, and what is their own."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxdl.methods.fewshot import anil, boil, heads, imaml, maml, maml_plus_plus, meta_sgd, reptile
from jaxdl.train.step import with_gradient


class Plain(nn.Module):
    """A hidden layer without normalisation; logits when there is a way."""

    way: int | None = None

    @nn.compact
    def __call__(self, images, *, train=False):
        hidden = nn.tanh(nn.Dense(8, name="hidden")(images.reshape(len(images), -1)))
        return hidden if self.way is None else nn.Dense(self.way, name="last")(hidden)


def batch(tasks=2, way=3, shot=2, queries=4, key=0):
    keys = jax.random.split(jax.random.key(key), 2)

    def part(key, count):
        return {
            "image": jax.random.normal(key, (tasks, way * count, 4, 4, 1)),
            "label": jnp.tile(jnp.repeat(jnp.arange(way), count), (tasks, 1)),
        }

    return {"support": part(keys[0], shot), "query": part(keys[1], queries)}


def start():
    return Plain(3).init(jax.random.key(3), jnp.zeros((1, 4, 4, 1)))["params"]


def in_parts(params):
    return {"body": {"hidden": params["hidden"]}, "head": params["last"]}


def after_sgd(module, config, params, network=None):
    """Parameters after one outer step of SGD at rate 1, and the metrics."""
    method = module.make(config, network=network or Plain(3), optimizer=optax.sgd(1.0))
    state = method.init(jax.random.key(0), batch())
    assert jax.tree.map(jnp.shape, state.params) == jax.tree.map(jnp.shape, params)
    state, metrics = jax.jit(method.train_step)(state._replace(params=params), batch())
    return state.params, metrics


def assert_close(got, expected, **tolerance):
    tolerance = tolerance or {"rtol": 1e-5, "atol": 1e-6}
    jax.tree.map(lambda g, e: np.testing.assert_allclose(g, e, **tolerance), got, expected)


@pytest.mark.parametrize("steps", [1, 3])
def test_meta_sgd_with_equal_rates_moves_the_start_as_maml_does(steps):
    options = {"way": 3, "inner_steps": steps, "inner_lr": 0.2}
    expected, expected_metrics = after_sgd(maml, maml.Config(**options), start())
    rates = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.2), start())
    params = {"start": start(), "rates": rates}
    got, metrics = after_sgd(meta_sgd, meta_sgd.Config(**options), params)
    assert_close(got["start"], expected)
    np.testing.assert_allclose(metrics["loss"], expected_metrics["loss"], rtol=1e-6)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), got["rates"], rates)
    assert min(jax.tree.leaves(moved)) > 1e-5


@pytest.mark.parametrize(("module", "part"), [(anil, "head"), (boil, "body")])
def test_anil_and_boil_are_meta_sgd_with_rates_of_zero(module, part):
    options = {"way": 3, "inner_steps": 2}
    got, _ = after_sgd(
        module, module.Config(**options, inner_lr=0.2), in_parts(start()), network=Plain()
    )
    rates = jax.tree.map(jnp.zeros_like, start())
    adapted = "last" if part == "head" else "hidden"
    rates[adapted] = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.2), rates[adapted])
    expected, _ = after_sgd(
        meta_sgd, meta_sgd.Config(**options), {"start": start(), "rates": rates}
    )
    assert_close(got, in_parts(expected["start"]))


@pytest.mark.parametrize("first_order", [False, True])
def test_maml_plus_plus_with_its_switches_off_is_maml(first_order):
    options = {"way": 3, "inner_steps": 3, "inner_lr": 0.2}
    expected, _ = after_sgd(maml, maml.Config(**options, first_order=first_order), start())
    flat = {f"{layer}/{name}": leaf for layer, of in start().items() for name, leaf in of.items()}
    params = {
        "start": flat,
        "rates": {name: jnp.full(3, 0.2) for name in flat},
        "normalisation": {},
    }
    config = maml_plus_plus.Config(
        **options,
        multi_step_iterations=0,
        learned_rates=False,
        first_order_until=1 if first_order else 0,
    )
    got, _ = after_sgd(maml_plus_plus, config, params)
    moved = {f"{layer}/{name}": v for layer, of in expected.items() for name, v in of.items()}
    assert_close(got["start"], moved)
    assert_close(got["rates"], params["rates"])


def test_maml_plus_plus_adds_up_the_query_losses_after_every_step():
    # At iteration 0 every step counts the same, so the loss is the mean of those of MAML with 1, 2
    # and 3 steps.
    losses = [
        after_sgd(maml, maml.Config(way=3, inner_steps=s, inner_lr=0.2), start())[1]["loss"]
        for s in (1, 2, 3)
    ]
    flat = {f"{layer}/{name}": leaf for layer, of in start().items() for name, leaf in of.items()}
    params = {
        "start": flat,
        "rates": {name: jnp.full(3, 0.2) for name in flat},
        "normalisation": {},
    }
    config = maml_plus_plus.Config(way=3, inner_steps=3, inner_lr=0.2)
    got, metrics = after_sgd(maml_plus_plus, config, params)
    np.testing.assert_allclose(metrics["loss"], np.mean(losses), rtol=1e-5)
    assert all(jnp.abs(r - 0.2).min() > 1e-6 for r in got["rates"].values())  # rates are learned


@pytest.mark.parametrize("epoch", [0, 3, 9, 10, 20])
def test_the_weights_of_the_steps_are_the_published_ones(epoch):
    # MAML++'s own code, S = 5 over 10 epochs: 1/S - e/(10 S), not below 0.03/S; the rest is the
    # last one's.
    steps = 5
    weights = maml_plus_plus.step_weights(steps, epoch / 10)
    other = max(1 / steps - epoch / (10 * steps), 0.03 / steps)
    last = min(1 / steps + epoch * (steps - 1) / (10 * steps), 1 - (steps - 1) * 0.03 / steps)
    np.testing.assert_allclose(weights, [other] * 4 + [last], rtol=1e-5)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)


def test_the_implicit_gradient_is_exact_on_a_quadratic():
    # Support loss p'Ap/2 - b'p, pull l: the minimum is (A + l I)^-1 (b + l s), and its derivative
    # with respect to s is l (A + l I)^-1.
    random = np.random.default_rng(0)
    root = random.normal(size=(4, 4))
    a, b, pull = root @ root.T, random.normal(size=4), 1.5
    s, target = random.normal(size=4), random.normal(size=4)
    with jax.enable_x64(True):

        def support_loss(p, support):
            return 0.5 * p @ support[0] @ p - support[1] @ p

        support = (jnp.asarray(a), jnp.asarray(b))
        step = imaml.proximal_step(support_loss, jnp.asarray(s), support, pull=pull, lr=0.05)
        adapted = jax.lax.fori_loop(0, 2000, lambda _, p: step(p), jnp.asarray(s))
        inverse = np.linalg.inv(a + pull * np.eye(4))
        np.testing.assert_allclose(adapted, inverse @ (b + pull * s), rtol=1e-9)
        gradient = adapted - target  # of |p - target|^2 / 2
        got = imaml.implicit_gradient(
            support_loss, adapted, support, gradient, pull=pull, cg_steps=4
        )
        np.testing.assert_allclose(got, pull * inverse.T @ gradient, rtol=1e-8)


def test_imaml_equals_differentiating_through_a_converged_inner_loop():
    data = jax.tree.map(lambda leaf: leaf[0], batch(1))
    with jax.enable_x64(True):
        data = jax.tree.map(lambda x: x.astype(float) if x.dtype == jnp.float32 else x, data)
        params = jax.tree.map(lambda p: p.astype(float), start())
        config = imaml.Config(
            way=3, inner_lr=0.1, inner_steps=300, pull=4.0, cg_steps=40, damping=0.0
        )
        learner = imaml.learner(config, network=Plain(3))
        got = jax.jit(jax.grad(lambda p: learner.loss(p, (), None, data)[0]))(params)

        def loss(params, part):
            logits = Plain(3).apply({"params": params}, part["image"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, part["label"]).mean()

        def unrolled(params):
            step = imaml.proximal_step(loss, params, data["support"], pull=4.0, lr=0.1)
            adapted, _ = jax.lax.scan(lambda p, _: (step(p), None), params, None, length=300)
            return loss(adapted, data["query"])

        assert_close(got, jax.jit(jax.grad(unrolled))(params), rtol=1e-5, atol=1e-9)


def test_reptile_moves_to_the_mean_of_where_the_inner_loops_led():
    config = reptile.Config(way=3, inner_steps=3, inner_batch=18)  # all images in every step
    got, _ = after_sgd(reptile, config, start())
    ends = []
    for task in range(2):
        data = jax.tree.map(lambda leaf, t=task: leaf[t], batch())
        data = jax.tree.map(lambda *parts: jnp.concatenate(parts), data["support"], data["query"])

        def loss(params, data=data):
            logits = Plain(3).apply({"params": params}, data["image"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, data["label"]).mean()

        params, adam = start(), optax.adam(1e-3, b1=0.0)
        moments = adam.init(params)
        for _ in range(3):
            update, moments = adam.update(jax.grad(loss)(params), moments)
            params = optax.apply_updates(params, update)
        ends.append(params)
    assert_close(got, jax.tree.map(lambda a, b: (a + b) / 2, *ends))


def test_minibatches_take_every_example_once_before_any_again():
    order = reptile.minibatches(jax.random.key(0), 10, 7, 4)
    assert order.shape == (7, 4)
    flat = order.reshape(-1)
    for epoch in (flat[:10], flat[10:20]):
        assert sorted(epoch.tolist()) == list(range(10))
    assert len(set(flat[20:].tolist())) == 8


def test_a_declared_gradient():
    value, gradient = jax.value_and_grad(
        lambda w: with_gradient(w["a"] ** 2, w, {"a": jnp.array(5.0)})
    )({"a": jnp.array(3.0)})
    assert value == 9
    assert gradient["a"] == 5


def test_the_nearest_mean_as_a_linear_head():
    random = np.random.default_rng(0)
    means, features = random.normal(size=(3, 4)), random.normal(size=(5, 4))
    logits = heads.linear(heads.nearest_mean(jnp.asarray(means)), jnp.asarray(features))
    expected = -((features[:, None] - means) ** 2).sum(-1)
    np.testing.assert_allclose(
        jax.nn.softmax(logits), jax.nn.softmax(jnp.asarray(expected)), rtol=1e-5
    )
