"""What defines each few-shot method; imports no JAX."""

from dataclasses import dataclass
from typing import Literal

from jaxdl.train.options import Fact

Normalisation = Literal["transductive", "support", "group"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the config of every few-shot method holds."""

    way: Fact[int] = 5
    """Classes in a task to be predicted (N)."""
    tasks_at_once: int = 0
    """Tasks that a device works on at the same time; 0 for what is fastest: one on a CPU, whose
    cache holds little more, and all of them elsewhere."""


@dataclass(frozen=True, kw_only=True)
class InnerLoop(Settings):
    """What the config of every method that takes gradient steps on the support set holds."""

    normalisation: Normalisation = "transductive"
    """How queries are normalised in training: with the statistics of all the queries of the task
    (transductive, as published), with those of the support set, which is inductive, or each image
    by itself (group). Test accuracy is given with the first two in any case."""
    inner_lr: float = 0.4
    """Learning rate of the inner loop, whose loss is a mean over the support set."""
    inner_steps: int = 1
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 5
    """Inner gradient steps in validation and test; the accuracy is measured after each of them."""


@dataclass(frozen=True, kw_only=True)
class Differentiated(InnerLoop):
    """What the config of a method that differentiates through its inner loop holds."""

    first_order: bool = False
    """Treat the inner gradient as a constant: do not differentiate through the inner loop."""
    remat: bool = True
    """Recompute an inner step's activations in the backward pass when there are several steps, for
    a third of the memory."""


@dataclass(frozen=True, kw_only=True)
class Features(Settings):
    """What the config of every method without an inner loop in its network holds."""

    views: int = 0
    """Distorted copies of an image whose features are averaged with its own in validation and test;
    8 with --eval-only cost nine times the test, and no training."""


@dataclass(frozen=True, kw_only=True)
class Metric(Features):
    """What the config of every method that compares queries with the support set holds."""

    train_way: Fact[int] = 20
    """Classes in a training task."""


@dataclass(frozen=True, kw_only=True)
class MAML(Differentiated):
    """What defines MAML, or FOMAML (`first_order`): the paper's settings for 5-way Omniglot.

    The authors' code takes the sum over the N classes as the inner loss, which is the same as N
    times this rate.
    """


@dataclass(frozen=True, kw_only=True)
class ANIL(Differentiated):
    """What defines ANIL; the defaults are MAML's for 5-way Omniglot."""


@dataclass(frozen=True, kw_only=True)
class BOIL(Differentiated):
    """What defines BOIL; the inner rate is the paper's."""

    inner_lr: float = 0.5
    """Learning rate of the inner loop, whose loss is a mean over the support set."""


@dataclass(frozen=True, kw_only=True)
class MetaSGD(Differentiated):
    """What defines Meta-SGD; the defaults are MAML's for 5-way Omniglot."""


@dataclass(frozen=True, kw_only=True)
class ProtoMAML(Differentiated):
    """What defines Proto-MAML; the defaults are MAML's for 5-way Omniglot, but for the rate."""

    inner_lr: float = 0.01
    """Learning rate of the inner loop. The last layer starts as large as the features are, so
    MAML's 0.4 breaks what it starts with."""


@dataclass(frozen=True, kw_only=True)
class MAMLPlusPlus(InnerLoop):
    """What defines MAML++; the defaults are the authors' for Omniglot."""

    inner_lr: float = 0.1
    """Learning rate of the inner loop before training; see --learned-rates."""
    inner_steps: int = 5
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 5
    """Inner gradient steps in validation and test; beyond S they repeat the last step's rates."""
    multi_step_iterations: int = 5000
    """Outer steps over which the loss moves from the mean over all inner steps to the last of them;
    0 for the last alone."""
    learned_rates: bool = True
    """Learn a rate for every array of parameters and every inner step."""
    normalisation_per_step: bool = True
    """Learn the scale and offset of the normalisation layers for every number of inner steps taken;
    they are not adapted in any case."""
    first_order_until: int = 0
    """Outer steps in which the inner gradient is treated as a constant."""
    remat: bool = True
    """Recompute an inner step's activations in the backward pass, for a third of the memory."""


@dataclass(frozen=True, kw_only=True)
class IMAML(InnerLoop):
    """What defines iMAML; the defaults are meant for 5-way Omniglot."""

    inner_lr: float = 0.03
    """Learning rate of the inner loop; with 0.1 it diverges after 200 outer steps, where the
    support loss curves more than its rate allows."""
    inner_steps: int = 16
    """Inner gradient steps in training (S)."""
    eval_inner_steps: int = 16
    """Inner gradient steps in validation and test; the accuracy is measured after each of them."""
    pull: float = 2.0
    """Lambda: weight of half the squared distance to the initialisation, in the inner loop."""
    cg_steps: int = 5
    """Steps of conjugate gradients for the implicit gradient."""
    damping: float = 10.0
    """Added to lambda in the system that conjugate gradients solve, which is not positive definite
    where the support loss is far from convex, and then sends training astray; 0 for the exact
    gradient."""


@dataclass(frozen=True, kw_only=True)
class Reptile(Settings):
    """What defines Reptile; the defaults are the paper's for 5-way Omniglot."""

    normalisation: Literal["transductive"] = "transductive"
    """Statistics that normalise in training: those of the inner batch. Test accuracy is given with
    those of the queries and with those of the support set."""
    inner_lr: float = 1e-3
    """Learning rate of the inner loop (Adam without momentum)."""
    inner_steps: int = 5
    """Inner gradient steps in training (S)."""
    inner_batch: int = 10
    """Images in an inner step of training (P), drawn from the support set and the queries."""
    eval_inner_steps: int = 50
    """Inner gradient steps in validation and test; the accuracy is measured before and after."""
    eval_inner_batch: int = 5
    """Images in an inner step of validation and test."""


@dataclass(frozen=True, kw_only=True)
class ProtoNet(Metric):
    """What defines prototypical networks; the defaults are the paper's for 5-way Omniglot."""

    train_way: Fact[int] = 60
    """Classes in a training task."""
    comparisons: Literal["prototypes", "pairs"] = "prototypes"
    """What a training step compares: queries with prototypes, or every image with every other."""


@dataclass(frozen=True, kw_only=True)
class Matching(Metric):
    """What defines matching networks."""

    scale: float = 10.0
    """Factor of the cosine similarities in the softmax; the paper's 1 leaves it almost flat."""
    full_context: bool = False
    """Embed the support set and the queries with regard to one another (FCE)."""
    attention_steps: int = 5
    """Rounds of attention with full context."""


@dataclass(frozen=True, kw_only=True)
class Relation(Metric):
    """What defines relation networks; the defaults are the paper's for 5-way Omniglot."""

    train_way: Fact[int] = 5
    """Classes in a training task."""


@dataclass(frozen=True, kw_only=True)
class R2D2(Metric):
    """What defines R2-D2."""

    penalty: float = 1.0
    """Penalty of the ridge regression before training; it is learned."""
    scale: float = 10.0
    """Factor of the regression's outputs as logits before training; it is learned too."""


@dataclass(frozen=True, kw_only=True)
class Siamese(Metric):
    """What defines Siamese networks."""


@dataclass(frozen=True, kw_only=True)
class Baseline(Features):
    """What defines Baseline and Baseline++."""

    classes: Fact[int] = 1100
    """All training classes (A)."""
    rotated: Fact[bool] = False
    """Whether the four rotations of a training class are classes of their own."""
    cosine: bool = False
    """Compare directions (Baseline++) instead of taking products (Baseline)."""
    scale: float = 10.0
    """Factor of the cosine similarities as logits."""
    fit_steps: int = 100
    """Gradient steps on the support set for the new last layer."""
    fit_lr: float = 0.1
    """Learning rate of those steps."""


@dataclass(frozen=True, kw_only=True)
class Regression:
    """What defines MAML for regression; the defaults are the paper's for sine waves."""

    inner_lr: float = 0.01
    """Learning rate of the inner loop, on a mean squared error."""
    inner_steps: int = 1
    """Inner gradient steps in training (S); 0 trains on all tasks together."""
    eval_inner_steps: int = 10
    """Inner gradient steps at test; the error is measured after each of them."""
