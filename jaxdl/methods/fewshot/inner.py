"""The inner loop of gradient-based meta-learning, for any loss and any pytree.

Shapes: B images, N ways, S inner steps.
"""

from collections.abc import Callable
from typing import Any

import jax

from jaxdl.methods.fewshot.configs import Differentiated, InnerLoop
from jaxdl.methods.fewshot.learner import MODES, Learner, accuracy, cross_entropy

Loss = Callable[[Any, Any], jax.Array]


def gradient_learner(
    settings: Differentiated,
    *,
    init: Callable[[jax.Array, jax.Array], Any],
    start: Callable[[Any, Any], Any],
    classifier: Callable[..., Callable[[Any], jax.Array]],
    rate: Callable[[Any], Any] | None = None,
) -> Learner:
    """Makes the learner that takes gradient steps on the support set and then classifies.

    Args:
      settings: the method's config.
      init: `(key, images) -> params`, the meta-parameters.
      start: `(params, support) -> adapted`: what the inner loop changes, before its first step.
      classifier: `(params, support, images, inductive=...) -> (adapted -> logits [B, N])`. The
        images are normalised with the statistics of the support set when `inductive`, else with
        their own. What does not depend on `adapted` is computed once.
      rate: `params -> lr` of `adapt`; None for `settings.inner_lr`.

    Raises:
      ValueError: when a setting is out of its range.
    """
    check(settings)
    rate = rate or (lambda _: settings.inner_lr)

    def support_loss(params, support):
        of_support = classifier(params, support, support["image"], inductive=False)
        return lambda adapted, label: cross_entropy(of_support(adapted), label)

    def loss(params, extra, key, task):
        del key
        support, query = task["support"], task["query"]
        adapted = adapt(
            support_loss(params, support),
            start(params, support),
            support["label"],
            lr=rate(params),
            steps=settings.inner_steps,
            first_order=settings.first_order,
            remat=settings.remat,
        )
        inductive = settings.normalisation == "support"
        logits = classifier(params, support, query["image"], inductive=inductive)(adapted)
        metrics = {"accuracy": accuracy(logits, query["label"])}
        return cross_entropy(logits, query["label"]), (extra, metrics)

    def predict(params, extra, support, images):
        del extra
        loss_fn = support_loss(params, support)
        classify = {
            inductive: classifier(params, support, images, inductive=inductive)
            for inductive in (True, False)
        }
        return follow(
            lambda adapted, inductive: classify[inductive](adapted),
            lambda adapted: descend(loss_fn, adapted, support["label"], lr=rate(params)),
            start(params, support),
            settings.eval_inner_steps,
        )

    measured_after = tuple(range(settings.eval_inner_steps + 1))
    return Learner(lambda key, images: (init(key, images), ()), loss, predict, measured_after)


def adapt(
    loss_fn: Loss,
    params: Any,
    support: Any,
    *,
    lr: Any,
    steps: int,
    first_order: bool = False,
    remat: bool = False,
) -> Any:
    """Takes gradient steps on the support set: the inner loop (Finn et al., 2017, equation 1).

    Args:
      loss_fn: `(params, support) -> scalar`.
      params: any pytree of arrays.
      support: whatever `loss_fn` wants.
      lr: learning rate of every step: a number, or one of its own for every array or number of
        `params` (a pytree of the same structure whose leaves broadcast against those of `params`).
      steps: number of steps, 0 or more.
      first_order: stop the gradient of the inner gradient, not of the adapted parameters, so that
        the derivative with respect to `params` is the query gradient at the adapted parameters.
      remat: recompute a step's activations in the backward pass instead of keeping them.

    Returns:
      The adapted parameters, of the structure of `params`.

    >>> import jax.numpy as jnp
    >>> adapt(lambda w, x: 0.5 * (x @ w) ** 2, jnp.ones(2), jnp.array([1.0, 3.0]), lr=0.25, steps=1)
    Array([ 0., -2.], dtype=float32)
    """

    def step(params, _):
        return descend(loss_fn, params, support, lr=lr, first_order=first_order), None

    if steps == 1:
        # A loop of one would be unrolled, but too late for XLA to see its convolutions.
        return step(params, None)[0]
    body = jax.checkpoint(step) if remat else step
    return jax.lax.scan(body, params, None, length=steps)[0]


def descend(loss_fn: Loss, params: Any, support: Any, *, lr: Any, first_order: bool = False) -> Any:
    """Takes one step of `adapt`."""
    gradient = jax.grad(loss_fn)(params, support)
    if first_order:
        gradient = jax.lax.stop_gradient(gradient)
    if jax.tree.structure(lr) != jax.tree.structure(params):  # type: ignore[operator]
        lr = jax.tree.map(lambda _: lr, params)
    return jax.tree.map(lambda p, g, rate: p - rate * g, params, gradient, lr)


def follow(
    classify: Callable[[Any, bool], jax.Array],
    step: Callable[[Any], Any],
    start: Any,
    steps: int,
) -> dict[str, jax.Array]:
    """Classifies before, between and after inner steps, in both modes.

    Args:
      classify: `(adapted, inductive) -> logits [B, N]`.
      step: one inner step.
      start: what the inner loop changes, before its first step.
      steps: S.

    Returns:
      `{"transductive": logits, "inductive": logits}`, each [S + 1, B, N].
    """

    def body(adapted, _):
        logits = {mode: classify(adapted, mode == "inductive") for mode in MODES}
        # The last step is for nothing; it costs less than a second copy of the classifier does in
        # compilation.
        return step(adapted), logits

    return jax.lax.scan(body, start, None, length=steps + 1)[1]


def check(settings: InnerLoop) -> None:
    """Raises ValueError when a setting is out of its range."""
    if settings.way < 2 or settings.inner_steps < 0 or settings.eval_inner_steps < 0:
        raise ValueError(f"way must be at least 2 and inner steps 0 or more, got {settings}")
    if not settings.inner_lr > 0:
        raise ValueError(f"the inner learning rate must be positive, got {settings.inner_lr}")
