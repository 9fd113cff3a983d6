import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.conv import Conv, patches
from jaxdl.nn.pool import max_pool

CASES = [
    ((3, 3), (1, 1), "SAME", (7, 6)),
    ((3, 3), (2, 2), "SAME", (7, 8)),
    ((3, 3), (2, 2), "VALID", (9, 7)),
    ((5, 3), (2, 1), "SAME", (6, 7)),
    ((1, 1), (1, 1), "SAME", (4, 4)),
    ((4, 4), (2, 2), "VALID", (8, 8)),
    ((5, 5), (2, 2), 2, (8, 7)),
    ((3, 2), (1, 1), "SAME", (7, 6), (2, 3)),
]


def test_patches_by_hand():
    image = jnp.arange(9.0).reshape(1, 3, 3, 1)
    got = patches(image, (2, 2), (1, 1), "VALID")
    np.testing.assert_array_equal(got[0, 0, 0], [0, 1, 3, 4])
    np.testing.assert_array_equal(got[0, 1, 1], [4, 5, 7, 8])
    same = patches(image, (3, 3), (2, 2), "SAME")  # one zero on each side
    np.testing.assert_array_equal(same[0, 0, 0], [0, 0, 0, 0, 0, 1, 0, 3, 4])


def test_products_of_bfloat16_are_summed_in_float32():
    # 256 ones and one 1 / 256: bfloat16, with 8 bits, could not tell their sum from 256.
    images = jnp.ones((1, 1, 1, 257)).at[..., 0].set(1 / 256)
    module = Conv(1, (1, 1), kernel_init=nn.initializers.ones, bfloat16=True)
    for implementation in ("patches", "lax"):
        out, params = module.clone(implementation=implementation).init_with_output(
            jax.random.key(0), images
        )
        np.testing.assert_array_equal(out, [[[[256 + 1 / 256]]]])
        assert params["params"]["kernel"].dtype == jnp.float32
    # 1 + 1 / 512 is rounded to 1.
    out = module.apply(params, jnp.full((1, 1, 1, 257), 1 + 1 / 512))
    np.testing.assert_array_equal(out, [[[[257]]]])


def value(module, params, images):
    return jnp.sin(module.apply(params, images)).sum()


def first(module, params, images):
    return jax.grad(value, (1, 2))(module, params, images)


def second(module, params, images):
    # The gradient of a gradient's norm reaches every term of the second derivative.
    def norm(params, images):
        return sum(jnp.sum(g**2) for g in jax.tree.leaves(first(module, params, images)))

    return jax.grad(norm, (0, 1))(params, images)


@functools.partial(jax.jit, static_argnums=0)
def derivatives(module, params, images):
    return [function(module, params, images) for function in (value, first, second)]


@functools.cache
def fixed(kernel_size, strides, padding, size, dilation=(1, 1)):
    reference = nn.Conv(4, kernel_size, strides, padding, kernel_dilation=dilation)
    images = jax.random.normal(jax.random.key(0), (2, *size, 3))
    params = reference.init(jax.random.key(1), images)
    params = jax.tree.map(lambda p: p + 0.1, params)  # the bias too
    return derivatives(reference, params, images), params, images


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("implementation", ["patches", "lax"])
def test_equals_flax_in_value_gradient_and_second_derivative(case, implementation):
    kernel_size, strides, padding, _, *dilation = case
    reference, params, images = fixed(*case)
    ours = Conv(4, kernel_size, strides, padding, *dilation, implementation=implementation)
    assert jax.tree.map(jnp.shape, ours.init(jax.random.key(0), images)) == jax.tree.map(
        jnp.shape, params
    )
    got = derivatives(ours, params, images)
    for got_one, expected, tolerance in zip(got, reference, (1e-5, 1e-5, 1e-4), strict=True):
        scale = max(float(jnp.abs(e).max()) for e in jax.tree.leaves(expected))
        jax.tree.map(
            lambda g, e, t=tolerance * scale: np.testing.assert_allclose(g, e, atol=t, rtol=0),
            got_one,
            expected,
        )


@pytest.mark.parametrize(
    ("channels", "size", "strides", "padding", "window"),
    [
        (1, (8, 8), (1, 1), "SAME", 2),
        (3, (9, 7), (1, 1), "VALID", 2),
        (3, (13, 12), (2, 1), "SAME", 3),
    ],
)
def test_pooled_equals_flax_pooled_in_value_and_gradients(channels, size, strides, padding, window):
    class Reference(nn.Module):
        @nn.compact
        def __call__(self, images):
            out = nn.Conv(4, (3, 3), strides, padding, name="conv")(images)
            return max_pool(out, window)

    images = jax.random.normal(jax.random.key(0), (2, *size, channels))
    params = Reference().init(jax.random.key(1), images)
    params = jax.tree.map(lambda p: p + 0.1, params)
    ours = {"params": params["params"]["conv"]}
    module = Conv(4, (3, 3), strides, padding, max_pool=window)
    plain = module.clone(implementation="lax").apply(ours, images)
    np.testing.assert_allclose(plain, Reference().apply(params, images), atol=1e-5)
    expected = derivatives(Reference(), params, images)
    for got, want in zip(derivatives(module, ours, images), expected, strict=True):
        want_leaves, got_leaves = jax.tree.leaves(want), jax.tree.leaves(got)
        for g, w in zip(got_leaves, want_leaves, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-4 * float(jnp.abs(w).max()))


def test_a_kernel_for_each_task_equals_a_loop():
    module = Conv(4, strides=(2, 2))
    images = jax.random.normal(jax.random.key(0), (3, 2, 8, 8, 1))
    params = jax.vmap(lambda key: module.init(key, images[0]))(
        jax.random.split(jax.random.key(1), 3)
    )
    together = jax.vmap(module.apply)(params, images)
    for task in range(3):
        alone = module.apply(jax.tree.map(lambda p, t=task: p[t], params), images[task])
        np.testing.assert_allclose(together[task], alone, atol=1e-5)


@pytest.mark.parametrize("window", [2, 3])
def test_max_pool_equals_flax(window):
    images = jax.random.normal(jax.random.key(0), (2, 7, 9, 3))
    expected = nn.max_pool(images, (window, window), (window, window))
    np.testing.assert_array_equal(max_pool(images, window), expected)
