import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.conv import Conv
from jaxdl.nn.conv_transpose import ConvTranspose, conv_transpose


def test_by_hand():
    # Pixels 1 and 2, stride 2, kernel 1 10 100: 1, 10, 100 + 2, 20, 200.
    image = jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)
    kernel = jnp.array([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    got = conv_transpose(image, kernel, (1, 2))
    np.testing.assert_array_equal(got.reshape(-1), [1, 10, 102, 20, 200])


@pytest.mark.parametrize("size", [(1, 1), (4, 5)])
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (4, 1), (3, 2), (5, 2), (2, 3), (3, 1)])
def test_equals_flax_in_value_and_gradients(kernel, stride, size):
    images = jax.random.normal(jax.random.key(0), (2, *size, 3))
    ours = ConvTranspose(5, (kernel, kernel), (stride, stride), crop=0)
    theirs = nn.ConvTranspose(5, (kernel, kernel), (stride, stride), padding="VALID")
    params = ours.init(jax.random.key(1), images)
    params = jax.tree.map(lambda p: p + 0.1, params)

    def flax(params, images):
        turned = params["params"] | {"kernel": params["params"]["kernel"][::-1, ::-1]}
        out = theirs.apply({"params": turned}, images)
        # Where the kernel is smaller than the stride, Flax adds zeros at the end.
        return out[:, : (size[0] - 1) * stride + kernel, : (size[1] - 1) * stride + kernel]

    np.testing.assert_allclose(ours.apply(params, images), flax(params, images), atol=1e-5)

    def norm(apply):
        def of(params, images):
            first = jax.grad(lambda p, x: jnp.sin(apply(p, x)).sum(), (0, 1))(params, images)
            return sum(jnp.sum(g**2) for g in jax.tree.leaves(first))

        return jax.jit(jax.grad(of, (0, 1)))(params, images)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        norm(ours.apply),
        norm(flax),
    )


def test_is_the_transpose_of_a_convolution():
    # <conv(x), y> = <x, conv'(y)> for the same kernel: 8 x 8 to 4 x 4 and back.
    module = Conv(6, (4, 4), (2, 2), use_bias=False)
    images = jax.random.normal(jax.random.key(0), (2, 8, 8, 3))
    out, params = module.init_with_output(jax.random.key(1), images)
    other = jax.random.normal(jax.random.key(2), out.shape)
    kernel = params["params"]["kernel"].transpose(0, 1, 3, 2)
    back = ConvTranspose(3, use_bias=False).apply({"params": {"kernel": kernel}}, other)
    assert back.shape == images.shape
    np.testing.assert_allclose(jnp.vdot(out, other), jnp.vdot(images, back), rtol=1e-4)
