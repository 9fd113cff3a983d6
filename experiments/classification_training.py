"""How networks are trained on labelled images and asked what they see: what experiments share."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.train.report import Report
    from jaxdl.train.state import Method, TrainState

CALL = 10
"""Steps of one compiled call."""

Predict = Callable[["TrainState", Any], Any]


def epoch(examples: int, batch: int) -> int:
    """Returns the steps in which as many examples are drawn as there are, about."""
    return max(round(examples / batch / CALL), 1) * CALL


def predictor(logits: Predict) -> Predict:
    """Makes a prediction of any number of images on the host.

    Args:
      logits: `(state, images [B, H, W, C] in [0, 1]) -> [B, ..., A]`.

    Returns:
      `(state, images [n, H, W, C]) -> log-probabilities`, NumPy [n, ..., A]; see `unit`.
    """
    import jax

    from jaxdl.train.evaluation import map_batches

    compiled = jax.jit(lambda state, images: jax.nn.log_softmax(logits(state, unit(images))))
    return lambda state, images: map_batches(lambda some: compiled(state, some), images, 500)


def unit(images: Any) -> Any:
    """Returns bytes as numbers in [0, 1], and other images, or features, as they are."""
    return images / 255.0 if images.dtype == "uint8" else images


def validation(predict: Predict, part: tuple[Any, Any]) -> Callable[["TrainState"], dict]:
    """Makes the measurement of a state that goes on while it is trained.

    Args:
      predict: `(state, images [n, H, W, C]) -> log-probabilities [n, ..., A]`.
      part: images, and labels int [n, ...].

    Returns:
      `state -> {"loss", "accuracy"}`, means over all labels.
    """
    import numpy as np

    images, label = part

    def evaluate(state):
        found = predict(state, images)
        return {
            "loss": -np.take_along_axis(found, label[..., None], -1).mean(),
            "accuracy": (found.argmax(-1) == label).mean(),
        }

    return evaluate


def pick(key: Any, part: Mapping[str, Any], index: Any) -> dict[str, Any]:
    """Returns the examples of a part with these numbers, as they are."""
    del key
    return {name: leaf[index] for name, leaf in part.items()}


def fit(
    method: "Method",
    part: Mapping[str, Any],
    config: Any,
    *,
    evaluate: Callable[["TrainState"], Mapping[str, float]],
    report: "Report",
    options: Mapping[str, Any],
    members: int | None = None,
    draw: Callable[[Any, Mapping[str, Any], Any], dict[str, Any]] = pick,
    independent: bool = False,
    patience: int | None = None,
) -> "TrainState":
    """Trains a method on examples that are drawn inside the compiled step.

    Args:
      method: takes batches of the fields of the part, with images as `unit` makes them.
      part: `image` [n, H, W, C], `label` int [n] and whatever else the examples have.
      config: has `epochs`, `batch` and `seed`.
      evaluate: see `validation`.
      report: the folder of the run.
      options: of the run, stored with each checkpoint.
      members: of an ensemble, each of which has a batch of its own; None for one network.
      draw: `(key, part, index) -> batch`, of the examples with these numbers.
      independent: see `jaxdl.train.step.data_mesh`. Cores that work on one batch at the same time
        wait for one another's gradients, and each changes all parameters: twice as slow as shared
        products where dense layers are large, and no faster where they are not.
      patience: see `jaxdl.train.loop.fit`.
    """
    import jax

    from jaxdl.train.training import train

    every = epoch(len(part["label"]), config.batch)
    shape = (config.batch,) if members is None else (members, config.batch)

    def sample(key, part):
        which_key, draw_key = jax.random.split(key)
        index = jax.random.randint(which_key, shape, 0, len(part["label"]))
        batch = draw(draw_key, part, index)
        return batch | {"image": unit(batch["image"])}

    return train(
        method,
        sample,
        jax.device_put(dict(part)),
        batch=members or config.batch,
        independent=independent,
        unit="images" if members is None else "networks",
        seed=config.seed,
        steps=config.epochs * every,
        steps_per_call=CALL,
        evaluate=evaluate,
        eval_every=every,
        log_every=max(every // 10 // CALL, 1) * CALL,
        report=report,
        metadata={"config": dict(options)},
        patience=patience,
    )
