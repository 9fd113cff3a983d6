from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn import gan

IMAGES = jnp.tanh(jax.random.normal(jax.random.key(0), (4, 32, 32, 1)))


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("channels", "encoder", "decoder", "generator", "discriminator"),
    [  # of the authors' networks, printed by their own code
        (1, 1_066_752, 1_066_880, 3_200_384, 661_248),
        (3, 1_068_800, 1_068_928, 3_206_528, 663_296),
    ],
)
def test_ganomaly_has_the_authors_parameters(channels, encoder, decoder, generator, discriminator):
    def parameters(module, *shape):
        made = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))
        return count(made["params"])

    images = (2, 32, 32, channels)
    assert parameters(gan.Encoder(), *images) == encoder
    assert parameters(gan.Decoder(channels=channels), 2, 100) == decoder
    assert parameters(gan.GANomalyGenerator(channels=channels), *images) == generator
    assert parameters(gan.Encoder(latent=1), *images) == discriminator


def test_shapes_and_ranges_of_the_autoencoders():
    small = gan.GANomalyGenerator(latent=10, features=4)
    (reconstructed, again, latent), variables = jax.jit(
        partial(small.init_with_output, train=True)
    )(jax.random.key(0), IMAGES)
    assert reconstructed.shape == IMAGES.shape
    assert again.shape == latent.shape == (4, 10)
    assert jnp.abs(reconstructed).max() <= 1
    kernels = variables["params"]["Encoder_0"]["Conv_3"]["kernel"]
    assert 0.015 < kernels.std() < 0.025
    with pytest.raises(ValueError, match="square"):
        small.init(jax.random.key(0), jnp.zeros((2, 28, 28, 1)))


@pytest.mark.parametrize("size", [28, 32, 64])
@pytest.mark.parametrize("classes", [0, 10])
def test_shapes_of_dcgan(size, classes):
    label = jnp.array([1, 2, 3, 4]) if classes else None
    latent = jax.random.normal(jax.random.key(0), (4, 16))
    for generator, discriminator in (
        (gan.Generator(size, features=4, classes=classes), gan.Discriminator(4, classes=classes)),
        (
            gan.MLPGenerator(size, features=(8,), classes=classes),
            gan.MLPDiscriminator((8,), classes),
        ),
    ):
        key = jax.random.key(1)
        images, _ = jax.eval_shape(generator.init_with_output, key, latent, label)
        assert images.shape == (4, size, size, 1)
        logits, _ = jax.eval_shape(discriminator.init_with_output, key, images, label)
        assert logits.shape == (4,)


def test_generated_images_are_in_range():
    latent = 9 * jax.random.normal(jax.random.key(0), (4, 16))
    for generator in (gan.Generator(28, features=4), gan.MLPGenerator(28, features=(8,))):
        images, _ = jax.jit(partial(generator.init_with_output, train=True))(
            jax.random.key(1), latent
        )
        assert jnp.abs(images).max() <= 1
        assert jnp.unique(images).size > 1000


def test_a_label_is_needed_and_matters():
    module = gan.MLPDiscriminator((8,), classes=3)
    label = jnp.array([0, 1, 2, 0])
    logits, params = module.init_with_output(jax.random.key(0), IMAGES, label)
    assert not jnp.allclose(logits, module.apply(params, IMAGES, (label + 1) % 3))
    with pytest.raises(ValueError, match="3 classes needs labels"):
        module.apply(params, IMAGES)


def test_the_logit_of_a_class_is_that_of_the_image_and_a_product_with_the_class():
    module = gan.MLPDiscriminator((8,), classes=3)
    label = jnp.array([0, 1, 2, 0])
    logits, variables = module.init_with_output(jax.random.key(0), IMAGES, label)
    hidden, image, classes = (variables["params"][f"Dense_{layer}"] for layer in range(3))
    seen = IMAGES.reshape(4, -1) @ hidden["kernel"] + hidden["bias"]
    seen = jnp.where(seen > 0, seen, 0.2 * seen)
    for example in range(4):
        vector = image["kernel"][:, 0] + classes["kernel"][:, label[example]]
        np.testing.assert_allclose(
            logits[example], seen[example] @ vector + image["bias"][0], rtol=1e-5, atol=1e-6
        )


def test_stored_statistics_make_an_image_independent_of_the_others():
    for module in (gan.Autoencoder(latent=8, features=4), gan.Discriminator(4)):
        variables = jax.jit(partial(module.init, train=True))(jax.random.key(0), IMAGES)
        _, seen = jax.jit(partial(module.apply, train=True, mutable=["batch_stats"]))(
            variables, IMAGES
        )
        variables = {"params": variables["params"], **seen}
        apply = jax.jit(module.apply)
        together, alone = apply(variables, IMAGES), apply(variables, IMAGES[:1])
        jax.tree.map(lambda t, a: np.testing.assert_allclose(t[:1], a, atol=1e-5), together, alone)


def test_spectral_normalisation_divides_by_the_largest_singular_values():
    module = gan.Discriminator(4, normalisation="spectral")
    variables = jax.jit(partial(module.init, train=True))(jax.random.key(0), IMAGES)
    apply = jax.jit(partial(module.apply, train=True, mutable=["batch_stats"]))
    for _ in range(100):
        _, seen = apply(variables, IMAGES)
        variables = {"params": variables["params"], **seen}
    kept = {"/".join(map(str, path)): leaf for path, leaf in flat(variables["batch_stats"])}
    kernels = {"/".join(map(str, path)): leaf for path, leaf in flat(variables["params"])}
    sigmas = [leaf for name, leaf in kept.items() if "sigma" in name]
    matrices = [
        leaf.reshape(-1, leaf.shape[-1]) for name, leaf in kernels.items() if "kernel" in name
    ]
    assert len(sigmas) == len(matrices) == 4
    largest = sorted(float(np.linalg.svd(m, compute_uv=False)[0]) for m in matrices)
    np.testing.assert_allclose(sorted(map(float, map(jnp.squeeze, sigmas))), largest, rtol=1e-3)


def flat(tree):
    return [
        ([key.key for key in path], leaf)
        for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]
    ]
