"""One device, eight devices, `pmap`: the same step of every method.

Under `pmap` random numbers and batch statistics are each device's own, see `pmap_step`. So what is
tested with drops no units and makes nothing of latent vectors, and takes statistics of a batch over
the mapped axis. Tasks and members of an ensemble keep both to themselves, and need no such care.
"""

import dataclasses
import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import jax_utils

from jaxdl.methods.distill import distill
from jaxdl.nn.classify import CNN, MLP
from jaxdl.nn.multitask import SoftSharing
from jaxdl.train.step import compile_step, data_mesh, pmap_step
from tests.methods import test_fewshot_family as fewshot
from tests.methods.test_contract import METHODS

DEVICES = 8
# Not Adam, which would hide a gradient that is 8 times too large.
SGD = optax.sgd(0.05)
IMAGES = jax.random.uniform(jax.random.key(0), (2 * DEVICES, 8, 8, 1), minval=-1, maxval=1)
LABELS = jnp.arange(2 * DEVICES) % 3
CLASSES = 3
TOLERANCE = 2e-5


class Net(nn.Module):
    """Two dense layers; the first is normalised with the statistics of all devices' images."""

    outputs: int
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images, *, train=False):
        hidden = nn.Dense(6)(images.reshape(len(images), -1))
        normalise = nn.BatchNorm(use_running_average=not train, axis_name=self.axis_name)
        return nn.Dense(self.outputs)(nn.relu(normalise(hidden)))


class Images(nn.Module):
    """Images of a vector, [B, Z]."""

    @nn.compact
    def __call__(self, latent):
        return jnp.tanh(nn.Dense(64)(latent)).reshape(-1, 8, 8, 1)


class Generator(nn.Module):
    """Images of a label, whatever the latent vector, which each device draws for itself."""

    @nn.compact
    def __call__(self, latent, label):
        return Images()(jax.nn.one_hot(label, CLASSES))


class Discriminator(nn.Module):
    axis_name: str | None

    @nn.compact
    def __call__(self, images, label=None):
        return Net(1, self.axis_name)(images, train=True)[:, 0]


class Autoencoder(nn.Module):
    axis_name: str | None

    @nn.compact
    def __call__(self, images):
        latent = Net(4, self.axis_name)(images, train=True)
        return Images()(latent), latent


class Twice(nn.Module):
    """As GANomaly's generator."""

    axis_name: str | None

    @nn.compact
    def __call__(self, images):
        made, latent = Autoencoder(self.axis_name)(images)
        return made, nn.Dense(4)(made.reshape(len(made), -1)), latent


class Judge(nn.Module):
    """As GANomaly's discriminator."""

    axis_name: str | None

    @nn.compact
    def __call__(self, images):
        features = Net(4, self.axis_name)(images, train=True)
        return features[:, :1], features


def few_shot(module, axis_name):
    # Reptile's gradient is as small as its inner steps.
    return fewshot.small(module, optax.sgd(1.0), axis_name)[0], fewshot.batch(DEVICES)


def of_images(module, axis_name, network=None, optimizer=SGD, label=LABELS, **settings):
    """A method of labelled images, with those of the settings that it has."""
    names = {field.name for field in dataclasses.fields(module.Config)}
    settings = {"classes": CLASSES} | settings
    config = module.Config(**{name: v for name, v in settings.items() if name in names})
    network = network or Net(CLASSES, axis_name)
    method = module.make(config, network=network, optimizer=optimizer, axis_name=axis_name)
    return method, {"image": IMAGES, "label": label}


def multitask(module, axis_name):
    network = SoftSharing(MLP((), 4), (CLASSES, 2))
    label = jnp.stack([LABELS, LABELS % 2], -1)
    settings = {"surgery": True, "weighting": "uncertainty", "coupling": 0.1}
    return of_images(module, axis_name, network, label=label, **settings)


def student(module, axis_name):
    variables = Net(CLASSES).init(jax.random.key(1), IMAGES)
    network = Net(CLASSES, axis_name), (distill.teacher(Net(CLASSES), variables),)
    return of_images(module, axis_name, network)


def members(module, axis_name):
    """The devices share the members, each with its own random numbers and statistics."""
    network = CNN(((4,),), (), CLASSES, batch_norm=True, dropout=0.2)
    method, _ = of_images(module, axis_name, network, members=DEVICES)
    images = jax.random.uniform(jax.random.key(0), (DEVICES, 6, 8, 8, 1))
    return method, {"image": images, "label": jnp.tile(jnp.arange(6) % 3, (DEVICES, 1))}


def adversaries(module, axis_name, generator=Generator, discriminator=Discriminator):
    network = generator(), discriminator(axis_name)
    settings = {"penalty": "r1", "critic_updates": 2, "latent": 5}
    return of_images(module, axis_name, network, (SGD, SGD), **settings)


# By family, and by file for a method that its family's example does not fit.
EXAMPLES: dict[str, Callable] = {
    "fewshot": few_shot,
    "supervised": of_images,
    "supervised.multitask": multitask,
    "distill": student,
    "ensemble": members,
    "gan": adversaries,
    "gan.autoencoder": lambda module, axis_name: of_images(
        module, axis_name, Autoencoder(axis_name)
    ),
    "gan.ganomaly": lambda module, axis_name: adversaries(
        module, axis_name, functools.partial(Twice, axis_name), Judge
    ),
}


@pytest.mark.parametrize("module", METHODS, ids=lambda module: module.__name__.split(".")[-1])
def test_one_device_equals_eight_and_pmap(module):
    name = module.__name__.removeprefix("jaxdl.methods.")
    make = EXAMPLES.get(name) or EXAMPLES.get(name.split(".")[0])
    assert make, f"there is no example of {name}; put one into EXAMPLES"
    method, batch = make(module, None)
    mapped, _ = make(module, "data")
    init = jax.jit(method.init)

    def start():
        return init(jax.random.key(0), batch)

    def numbers(state, metrics):
        return jax.device_get((state.params, state.opt_state, state.extra, metrics))

    one = numbers(*compile_step(method.train_step)(start(), batch))
    moves = jax.tree.map(lambda before, after: np.abs(after - before).max(), start().params, one[0])
    assert max(jax.tree.leaves(moves)) > 100 * TOLERANCE  # so that a wrong factor is seen
    eight = numbers(*compile_step(method.train_step, mesh=data_mesh(DEVICES))(start(), batch))
    assert_close(eight, one)
    copies = numbers(*pmap_step(mapped.train_step)(jax_utils.replicate(start()), batch))
    assert_close(copies, one)


def assert_close(found, expected):
    """Of what `pmap` found, every device's copy."""

    def compare(a, b):
        np.testing.assert_allclose(a, np.broadcast_to(b, a.shape), rtol=2e-4, atol=TOLERANCE)

    jax.tree.map(compare, found, expected)
