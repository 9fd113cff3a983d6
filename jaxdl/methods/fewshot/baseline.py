"""Baseline and Baseline++ (Chen, Liu, Kira, Wang and Huang, 2019, arXiv 1904.04232).

No meta-learning: a classifier of all training classes is trained; for a task its features are kept,
and a new last layer is fitted to the support set. In Baseline++ both last layers compare directions
(cosine similarity) instead of taking a product.

Shapes: A all training classes, N ways, B images, D features.
"""

from typing import Any

import flax.linen as nn

from jaxdl.methods.fewshot import examples, heads
from jaxdl.methods.fewshot.configs import Baseline as Config
from jaxdl.methods.fewshot.inner import adapt
from jaxdl.methods.fewshot.learner import Learner, cross_entropy, maker
from jaxdl.methods.fewshot.metric import metric_learner
from jaxdl.nn.fewshot import Conv4
from jaxdl.ops.distances import cosine_similarity


def learner(config: Config, *, network: nn.Module | None = None) -> Learner:
    """Makes the functions that learn one task.

    A training task must say of which classes it is, `"class"`, and, when rotated, `"rotation"`.

    Args:
      config: the settings.
      network: maps images [B, H, W, C] to features [B, D] and takes `train`; see
        `jaxdl.nn.fewshot`. None for the strided Conv4 without its last layer.

    Raises:
      ValueError: when a setting is out of its range.
    """
    if config.classes < 2 or config.fit_steps < 0 or not min(config.scale, config.fit_lr) > 0:
        raise ValueError(f"classes, steps, scale and rate are out of their range: {config}")

    def logits(head, features):
        if config.cosine:
            return config.scale * cosine_similarity(features, head["kernel"].T)
        return heads.linear(head, features)

    def init_head(key, features):
        every = config.classes * (4 if config.rotated else 1)
        return heads.random(key, features.shape[-1], every)

    def compare(head, known, label, asked, way):
        del head
        means = heads.class_means(known, label, way)
        start = heads.undecided(known.shape[-1], way)
        if config.cosine:  # at 0 there is no direction
            start["kernel"] = means.T

        def loss(head, data):
            return cross_entropy(logits(head, data[0]), data[1])

        fitted = adapt(loss, start, (known, label), lr=config.fit_lr, steps=config.fit_steps)
        return logits(fitted, asked)

    def classify(head, features, task, label):
        every = task["class"] * 4 + task["rotation"] if config.rotated else task["class"]
        return logits(head, features), every[label]

    return metric_learner(
        network or Conv4(),
        compare,
        way=config.way,
        train_way=config.way,
        views=config.views,
        init_head=init_head,
        classify=classify,
    )


make = maker(learner)


def example(axis_name: str | None = None) -> tuple[Config, nn.Module, dict[str, Any]]:
    """Returns a small config, network and batch."""
    del axis_name
    return (
        Config(way=examples.WAY, classes=examples.WAY, fit_steps=5),
        examples.FEATURES,
        examples.tasks(),
    )
