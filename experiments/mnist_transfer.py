"""Use what was learned from the digits 0 to 4 to tell 5 to 9 apart, in the notes' three ways.

They are: freeze what was learned and train the rest, do the same on features that are computed
once, and train all, what was learned more slowly.

python -m experiments.mnist_transfer                    # scikit-learn's digits, a minute
python -m experiments.mnist_transfer --dataset mnist
"""

import dataclasses
import sys
from pathlib import Path

from experiments import classification, classification_pictures, image_options
from jaxdl.train import command

FIRST, SECOND = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """A network of the digits 0 to 4, and five of 5 to 9: four of them begin with the first."""

    first_epochs: int = 10
    """How often the first network draws a training image, on average."""
    epochs: int = 5
    """How often the others do."""
    examples: int | None = None
    """Training images of 5 to 9 that are used; None for all. The fewer, the more is gained."""
    batch: int = 128
    """Images in a step."""
    learning_rate: float = 2e-3
    """Of Adam, at first; it falls to 0."""
    slower: float = 0.1
    """By which the learning rate of the convolutions is multiplied when all is trained."""
    holdout: float = 1 / 12
    """Share of the training images that is kept for validation."""


def main(config: Config) -> None:
    """Runs the experiment."""
    import jax

    from jaxdl.methods.distill import distill
    from jaxdl.nn.classify import CNN, MLP
    from jaxdl.train import transfer
    from jaxdl.train.evaluation import map_batches
    from jaxdl.train.report import Report

    command.require_positive(config, "first_epochs", "epochs", "batch", "learning_rate")
    if config.examples is not None:
        command.require_positive(config, "examples")
    picked = {
        name: getattr(config, name)
        for name in ("dataset", "data_dir", "seed", "batch", "learning_rate", "holdout")
    }
    options = classification.Config(**picked, epochs=config.epochs, dropout=0.25)
    dataset, _ = classification.load(options, "mnist")
    options = dataclasses.replace(options, dataset=dataset)
    report = Report(config.workdir or Path(f"runs/mnist_transfer-{dataset}-seed{config.seed}"))
    report.check_config(command.of_the_run(dataclasses.replace(config, dataset=dataset)))

    def network(classes):
        return CNN(((32,), (32, 64)), (128,), classes, batch_norm=True, dropout=0.25)

    def frozen(classes):
        return transfer.FrozenStatistics(network(classes), "BatchNorm_*")

    def run(name, only, build, **more):
        epochs = config.first_epochs if only is FIRST else config.epochs
        folder = name.replace(",", "").replace(" ", "_")
        return classification.run(
            f"mnist_transfer, {name}",
            dataclasses.replace(options, epochs=epochs, workdir=report.workdir / folder),
            build,
            only=only,
            limit=None if only is FIRST else config.examples,
            **more,
        )

    first = run("0 to 4", FIRST, network)

    def convolutions(variables):
        """Returns the variables with the first network's convolutions and statistics."""
        for pattern in ("params/Conv_*", "*BatchNorm_*"):
            variables, done = transfer.load(variables, first.variables, pattern)
            print(f"{pattern}: {done}")
        return variables

    @jax.jit
    def convolved(images):
        _, found, _ = distill.tapped(first.network, first.variables, images / 255.0, "BatchNorm_2")
        return jax.nn.relu(found)

    kept = {"Conv_*": 0.0, "BatchNorm_*": 0.0}
    slow = dict.fromkeys(kept, config.slower)
    finished = {
        "from nothing": run("from nothing", SECOND, network),
        "convolutions frozen": run(
            "convolutions frozen",
            SECOND,
            frozen,
            start=convolutions,
            adapt=lambda optimizer: transfer.at_rates(optimizer, kept),
        ),
        "features once": run(
            "features once",
            SECOND,
            lambda classes: MLP((128,), classes, dropout=0.25, input_dropout=0.25),
            features=lambda images: map_batches(convolved, images, 500),
        ),
        "only a new head": run(
            "only a new head",
            SECOND,
            frozen,
            start=lambda v: transfer.load(convolutions(v), first.variables, "params/Dense_0/*")[0],
            adapt=lambda optimizer: transfer.at_rates(optimizer, kept | {"Dense_0/*": 0.0}),
        ),
        "all, convolutions slower": run(
            "all, convolutions slower",
            SECOND,
            network,
            start=convolutions,
            adapt=lambda optimizer: transfer.at_rates(optimizer, slow),
        ),
    }
    report.write_json(
        "result.json",
        {
            "experiment": "mnist_transfer",
            "dataset": dataset,
            "protocol": "test images of 5 to 9, last step",
            "seed": config.seed,
            "metrics": {name: each.metrics for name, each in finished.items()},
        },
    )
    recalls = {name: each.metrics["by class"]["recall"] for name, each in finished.items()}
    report.save_figure(classification_pictures.draw_recalls(recalls, SECOND), "by_class.png")
    said = ", ".join(
        f"{name} {100 * each.metrics['accuracy']['value']:.2f} %" for name, each in finished.items()
    )
    images = finished["from nothing"].metrics["accuracy"]["images"]
    print(
        f"mnist_transfer: {said} of {images} test images of 5 to 9 right ({dataset}, last step, "
        f"seed {config.seed}); see {report.workdir}"
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
