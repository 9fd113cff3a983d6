"""Train the classifier by whose features generated images are judged.

python -m experiments.mnist_features                    # scikit-learn's digits
python -m experiments.mnist_features --dataset mnist
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, NamedTuple

from experiments import image_options
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """A small classifier of digits or garments."""

    size: int = 28
    """Side of the images, in pixels, to which they are enlarged."""
    steps: int = 2000
    """Training steps."""
    batch: int = 128
    """Images in a step."""


class Judge(NamedTuple):
    """A trained classifier."""

    predict: Any
    """`images [n, H, W, C] in [-1, 1] -> (probabilities [n, A], features [n, D])`, on the host."""
    accuracy: float
    """On the test images."""
    digest: str
    """Of its parameters."""


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.data import images

    dataset, data = images.load(config.dataset, data_dir=config.data_dir)
    config = dataclasses.replace(config, dataset=dataset)
    judge, folder = train(config, data)
    print(
        f"mnist_features: {100 * judge.accuracy:.2f} % of {len(data['test']['label'])} test images "
        f"right ({dataset}, its own test part); see {folder}"
    )


def train(config: Config, data: Any) -> tuple[Judge, Path]:
    """Trains the classifier, or reads it back; returns it with its folder.

    Args:
      config: the options, with the name of the data set.
      data: `train` and `test`, each `image` uint8 [n, H, W, C] and `label` [n].
    """
    import jax
    import numpy as np
    import optax

    from jaxdl.data.images import resize, unit
    from jaxdl.methods.supervised import classifier
    from jaxdl.nn.classify import CNN
    from jaxdl.train import result, training
    from jaxdl.train.digest import digest
    from jaxdl.train.evaluation import map_batches
    from jaxdl.train.report import Report

    command.require_positive(config, "size", "steps", "batch")
    report = Report(config.workdir or Path(f"runs/mnist_features-{config.dataset}-{config.size}"))
    options = command.of_the_run(config)
    report.check_config(options)
    network = CNN()
    rate = optax.cosine_decay_schedule(1e-3, config.steps)
    method = classifier.make(classifier.Config(), network=network, optimizer=optax.adam(rate))
    parts = {
        part: jax.device_put((resize(fields["image"], config.size), fields["label"]))
        for part, fields in data.items()
    }

    def sample(key, part):
        images, label = part
        index = jax.random.randint(key, (config.batch,), 0, len(images))
        return {"image": unit(images[index]), "label": label[index]}

    @jax.jit
    def apply(params, images):
        logits, seen = network.apply({"params": params}, images, mutable=["intermediates"])
        return jax.nn.softmax(logits), seen["intermediates"]["features"][0]

    def predict(params, images):
        return map_batches(lambda part: apply(params, part), np.asarray(images, np.float32), 500)

    def accuracy(state):
        images, label = (np.asarray(leaf) for leaf in parts["test"])
        probability, _ = predict(state.params, unit(images))
        return float((probability.argmax(-1) == label).mean())

    call = 20
    every = max(config.steps // 4 // call, 1) * call
    state = training.train(
        method,
        sample,
        parts["train"],
        batch=config.batch,
        unit="images",
        seed=config.seed,
        steps=max(config.steps // call, 1) * call,
        steps_per_call=call,
        evaluate=lambda state: {"accuracy": accuracy(state)},
        eval_every=every,
        log_every=every,
        report=report,
        metadata={"config": options},
    )
    measured = accuracy(state)
    report.write_curves()
    result.write(
        report,
        experiment="mnist_features",
        dataset=config.dataset,
        protocol={"test": "the data set's own test part", "selection": "last step"},
        metrics={"accuracy": result.metric(measured, count=len(data["test"]["label"]))},
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    judge = Judge(lambda images: predict(state.params, images), measured, digest(state.params))
    return judge, report.workdir


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
