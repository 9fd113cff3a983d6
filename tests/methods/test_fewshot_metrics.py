"""The comparisons of the metric-based methods, by hand."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.methods.fewshot import baseline, matching, metric, protonet, r2d2, relation, siamese
from jaxdl.nn.fewshot import FeatureMaps, FullContext, RelationScore
from jaxdl.ops.augmentation import random_affine


class Same(nn.Module):
    """The pixels as features."""

    @nn.compact
    def __call__(self, images, *, train=False):
        return images.reshape(len(images), -1)


SUPPORT = {
    "image": jnp.array([[1.0, 0], [3, 0], [0, 2], [0, 4]]).reshape(4, 1, 2, 1),
    "label": jnp.array([0, 0, 1, 1]),
}
QUERIES = jnp.array([[2.0, 1], [0, 1]]).reshape(2, 1, 2, 1)


def logits(module, **options):
    learner = module.learner(module.Config(way=2, train_way=2, **options), network=Same())
    params, extra = learner.init(jax.random.key(0), SUPPORT["image"])
    return learner.predict(params, extra, SUPPORT, QUERIES)["inductive"][0]


def test_prototypes():
    # Means [2, 0] and [0, 3]; |[2, 1] - [2, 0]|^2 = 1, |[2, 1] - [0, 3]|^2 = 8, and so on.
    np.testing.assert_allclose(logits(protonet), [[-1, -8], [-5, -4]], rtol=1e-6)


def test_pairs_are_one_shot_tasks():
    features = 5 + jax.random.normal(jax.random.key(0), (9, 4))
    label = np.array([0, 1, 2, 2, 1, 0, 0, 1, 2])

    def one_by_one(features):
        losses = []
        for query in range(9):
            distance = ((features[query] - features) ** 2).sum(-1)
            others = jnp.exp(-distance[label != label[query]]).sum()
            for support in range(9):
                if support != query and label[support] == label[query]:
                    near = jnp.exp(-distance[support])
                    losses.append(-jnp.log(near / (near + others)))
        assert len(losses) == 9 * 2
        return sum(losses) / 18

    config = protonet.Config(way=2, train_way=3, comparisons="pairs")
    learner = protonet.learner(config, network=Same())

    def loss(features):
        images = features.reshape(9, 1, 4, 1)
        parts = {"support": slice(3), "query": slice(3, 9)}
        task = {p: {"image": images[at], "label": jnp.array(label[at])} for p, at in parts.items()}
        return learner.loss({"body": {}, "head": {}}, {}, jax.random.key(0), task)[0]

    np.testing.assert_allclose(loss(features), one_by_one(features), rtol=1e-5)
    expected = jax.grad(one_by_one)(features)
    np.testing.assert_allclose(jax.grad(loss)(features), expected, rtol=1e-4, atol=1e-6)


def test_prototypes_of_averaged_views():
    wide = jnp.pad(SUPPORT["image"], ((0, 0), (2, 2), (2, 2), (0, 0)))
    asked = jnp.pad(QUERIES, ((0, 0), (2, 2), (2, 2), (0, 0)))
    keys = jax.random.split(jax.random.key(0), 3)

    def mean_view(image):  # one image at a time
        return np.mean([image, *(random_affine(key, image) for key in keys)], axis=0).ravel()

    known = np.array([mean_view(image) for image in wide]).reshape(2, 2, -1).mean(1)
    expected = -np.array([((mean_view(image) - known) ** 2).sum(-1) for image in asked])
    support = {"image": wide, "label": SUPPORT["label"]}
    learner = protonet.learner(protonet.Config(way=2, train_way=2, views=3), network=Same())
    both = learner.predict({"body": {}, "head": {}}, {}, support, asked)
    np.testing.assert_allclose(both["inductive"][0], expected, rtol=1e-5)
    np.testing.assert_allclose(both["transductive"][0], expected, rtol=1e-5)
    alone = learner.predict({"body": {}, "head": {}}, {}, support, asked[1:])
    np.testing.assert_allclose(alone["inductive"][0, 0], expected[1], rtol=1e-5)


def test_attention():
    # [2, 1] / sqrt(5) has cosines 2 / sqrt(5) and 1 / sqrt(5); [0, 1] has 0 and 1; two shots each.
    weights = np.exp(3 * np.array([[2 / 5**0.5, 1 / 5**0.5], [0, 1]]))
    expected = np.log(weights / weights.sum(1, keepdims=True))
    np.testing.assert_allclose(logits(matching, scale=3.0), expected, rtol=1e-5)


def test_ridge_regression():
    x = np.array([[1.0, 0, 1], [3, 0, 1], [0, 2, 1], [0, 4, 1]])  # with the constant feature
    y = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    w = np.linalg.solve(x.T @ x + 0.5 * np.eye(3), x.T @ y)
    expected = 4 * np.array([[2.0, 1, 1], [0, 1, 1]]) @ w
    np.testing.assert_allclose(logits(r2d2, penalty=0.5, scale=4.0), expected, rtol=1e-4)


def test_pairs():
    # Weights 1 / sqrt(2), bias 1; the nearer shot counts: |[2, 1] - [1, 0]| is 1 + 1 pixels, and
    # from [0, 2] it is 2 + 1, and so on.
    apart = np.array([[2, 3], [2, 1]])
    np.testing.assert_allclose(logits(siamese), 1 - apart / 2**0.5, rtol=1e-6)


def test_pair_loss_and_verification_by_hand():
    given = jnp.array([[2.0, -1.0, 0.5], [0.3, -0.2, 1.0]])
    label = jnp.array([0, 1])
    same = np.mean([np.log1p(np.exp(-2.0)), np.log1p(np.exp(0.2))])
    other = np.mean([np.log1p(np.exp(x)) for x in (-1.0, 0.5, 0.3, 1.0)])
    np.testing.assert_allclose(siamese.pair_loss(given, label), (same + other) / 2, rtol=1e-6)
    # Of one class: right, wrong; against the next class: right (-1), wrong (1.0).
    assert siamese.verification(given, label) == 0.5


def test_baseline_learns_all_classes_and_fits_a_new_head():
    task = {
        "support": SUPPORT,
        "query": {"image": QUERIES, "label": jnp.array([0, 1])},
        "class": jnp.array([5, 2]),
        "rotation": jnp.array([1, 3]),
    }
    learner = baseline.learner(
        baseline.Config(way=2, classes=7, rotated=True, fit_steps=200), network=Same()
    )
    params, extra = learner.init(jax.random.key(0), SUPPORT["image"])
    assert params["head"]["kernel"].shape == (2, 4 * 7)
    value, _ = learner.loss(params, extra, jax.random.key(0), task)
    features = np.concatenate([SUPPORT["image"], QUERIES]).reshape(6, 2)
    scores = jax.nn.log_softmax(features @ params["head"]["kernel"] + params["head"]["bias"])
    every = [21, 21, 11, 11, 21, 11]  # 4 * 5 + 1 and 4 * 2 + 3
    np.testing.assert_allclose(value, -np.mean(scores[np.arange(6), every]), rtol=1e-5)
    got = learner.predict(params, extra, SUPPORT, SUPPORT["image"])["inductive"][0]
    assert list(got.argmax(-1)) == [0, 0, 1, 1]


def test_baseline_plus_plus_compares_directions():
    learner = baseline.learner(
        baseline.Config(way=2, cosine=True, fit_steps=0, scale=3.0), network=Same()
    )
    params, extra = learner.init(jax.random.key(0), SUPPORT["image"])
    got = learner.predict(params, extra, SUPPORT, QUERIES)["inductive"][0]
    expected = 3 * np.array([[2 / 5**0.5, 1 / 5**0.5], [0, 1]])
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_relation_scores_every_pair_of_query_and_mean_of_a_class():
    learner = relation.learner(relation.Config(way=2, train_way=2), network=FeatureMaps(8))
    images = jax.random.uniform(jax.random.key(0), (7, 16, 16, 1))
    support = {"image": images[:4], "label": jnp.array([1, 0, 1, 0])}
    params, extra = learner.init(jax.random.key(1), images)
    got = learner.predict(params, extra, support, images[4:])["inductive"][0]
    maps = FeatureMaps(8).apply({"params": params["body"], "batch_stats": extra}, images)
    for query in range(3):
        for label in range(2):
            of_class = maps[:4][support["label"] == label].mean(0)
            pair = jnp.concatenate([of_class, maps[4 + query]], -1)[None]
            score = RelationScore().apply({"params": params["head"]}, pair)[0]
            np.testing.assert_allclose(got[query, label], score, rtol=1e-4, atol=1e-5)


def test_full_context_looks_at_the_others():
    module = FullContext(2)
    support = jax.random.normal(jax.random.key(0), (4, 3))
    queries = jax.random.normal(jax.random.key(1), (2, 3))
    params = module.init(jax.random.key(2), support, queries)
    known, asked = module.apply(params, support, queries)
    assert known.shape == support.shape
    assert asked.shape == queries.shape
    other, of_other = module.apply(params, support.at[0].add(1.0), queries)
    assert jnp.abs(other - known)[1:].max() > 1e-4
    assert jnp.abs(of_other - asked).max() > 1e-4
    # A query sees the support set, not the other queries.
    np.testing.assert_allclose(
        module.apply(params, support, queries[:1])[1], asked[:1], rtol=1e-5, atol=1e-6
    )


def test_running_statistics_follow_those_of_the_episodes():
    class Normalised(nn.Module):
        @nn.compact
        def __call__(self, images, *, train=False):
            seen = self.variable("batch_stats", "mean", jnp.zeros, ())
            if train:
                seen.value = images.mean()
            return images.reshape(len(images), -1) - seen.value

    learner = protonet.learner(protonet.Config(way=2, train_way=2), network=Normalised())
    task = {"support": SUPPORT, "query": {"image": QUERIES, "label": jnp.array([0, 1])}}
    params, extra = learner.init(jax.random.key(0), SUPPORT["image"])
    extra = {"mean": jnp.array(2.0)}
    mean = (1 + 3 + 2 + 4 + 2 + 1 + 0 + 1) / 12  # of all twelve pixels of the episode
    _, (extra, _) = learner.loss(params, extra, jax.random.key(0), task)
    np.testing.assert_allclose(
        extra["mean"], metric.MOMENTUM * 2 + (1 - metric.MOMENTUM) * mean, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("module", "wrong"), [(matching, {"scale": 0.0}), (r2d2, {"penalty": -1.0})]
)
def test_settings_out_of_range_are_refused(module, wrong):
    with pytest.raises(ValueError, match="must be positive"):
        module.make(module.Config(**wrong))
