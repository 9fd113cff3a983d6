"""Find the digit among pieces of others: a spatial transformer before a convolutional network.

python -m experiments.cluttered_mnist_stn                          # scikit-learn's digits, minutes
python -m experiments.cluttered_mnist_stn --preset mnist
python -m experiments.cluttered_mnist_stn --preset mnist --no-transformer   # the network alone
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

from experiments import classification, classification_pictures
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(classification.Config):
    """A network that looks for the digit first; canvases of 60 x 60 are made in the step."""

    preset: Literal["digits", "mnist"] = "digits"
    """Defaults of the other options."""
    transformer: bool = True
    """Whether there is a spatial transformer; without, the convolutions see the whole canvas."""
    warmup: float = 0.1
    """Share of the training in which the learning rate rises from 0."""


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {"epochs": 150},
    "mnist": {"dataset": "mnist", "epochs": 15},
}


def main(config: Config) -> None:
    """Runs the experiment."""
    import jax

    from jaxdl.data.clutter import cluttered

    workdir = config.workdir
    if workdir is None:
        kind = "stn" if config.transformer else "cnn"
        workdir = Path(f"runs/cluttered_mnist_stn-{kind}-{config.dataset}-seed{config.seed}")
    finished = classification.run(
        "cluttered_mnist_stn",
        dataclasses.replace(config, workdir=workdir),
        lambda classes: _network(config, classes),
        draw=cluttered,
    )
    if config.transformer:
        shown = finished.test[:20]
        unit = (shown / 255.0 - config.mean) / config.deviation
        _, seen = jax.jit(
            lambda images: finished.network.apply(
                finished.variables, images, mutable=["intermediates"]
            )
        )(unit)
        [looked_at] = seen["intermediates"]["seen"]
        picture = classification_pictures.draw_pairs(shown, looked_at)
        finished.report.save_figure(picture, "looked_at.png")


def _network(config, classes):
    from jaxdl.nn.classify import CNN
    from jaxdl.nn.spatial_transformer import Keypoints, SpatialTransformer, TransformedClassifier

    def cnn(*channels):
        stages = tuple((width,) for width in channels)
        return CNN(stages, (64,), classes, batch_norm=True, dropout=config.dropout)

    if not config.transformer:
        return cnn(16, 32, 32)
    transformer = SpatialTransformer(Keypoints(), size=config.size, scale=0.5, shrink=2)
    # It sees a smaller image, so that wider convolutions have as many parameters.
    return TransformedClassifier(transformer, cnn(32, 64, 64))


if __name__ == "__main__":
    sys.exit(command.run(main, Config, PRESETS))
