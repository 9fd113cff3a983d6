"""Train on all characters at once, and fit a new last layer to new ones (Baseline, Baseline++).

python -m experiments.omniglot_baseline
"""

import dataclasses
import sys
from typing import Any, Literal

from experiments import episodic
from jaxdl.train import command


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(episodic.Config):
    """Baseline and Baseline++ on Omniglot."""

    network: Literal["conv4", "conv4_pooled"] = "conv4"
    """Four convolutions that halve the image by stride or by max-pooling."""
    cosine: bool = False
    """Compare directions (Baseline++) instead of taking products (Baseline)."""
    scale: float = 10.0
    """Of the cosine similarities as logits."""
    fit_steps: int = 100
    """Gradient steps for the new last layer."""
    fit_lr: float = 0.1
    """Their learning rate."""
    train_way: int = 20
    """Classes in a training batch."""
    meta_batch: int = 4
    """Batches per step."""
    learning_rate: float = 1e-3
    """Of Adam."""
    steps: int = 3000
    """Training steps."""
    eval_every: int = 500
    """Steps between validations, each followed by a checkpoint."""


# Training classes of each split, and of the glyphs' random one; see `jaxdl.data.protocol`.
CLASSES = {"random": 1100, "vinyals": 1028, "lake": 883, "glyphs": 4277}


def main(config: Config) -> None:
    """Runs the experiment."""
    episodic.run("omniglot_baseline", config, build)


def build(config: Config, rate: Any) -> episodic.Built:
    """Makes the steps from the options."""
    import optax

    from jaxdl.methods.fewshot import baseline
    from jaxdl.nn.fewshot import Conv4

    network = Conv4(downsampling="pooled" if config.network == "conv4_pooled" else "strided")
    settings = dataclasses.replace(
        command.pick(baseline.Config, config),
        classes=CLASSES["glyphs" if config.dataset == "glyphs" else config.split],
        rotated=config.rotations != "none",
    )
    return episodic.Built(
        method=baseline.make(settings, network=network, optimizer=optax.adam(rate)),
        learner=baseline.learner(settings, network=network),
        headline="inductive",
        any_way=True,
    )


if __name__ == "__main__":
    sys.exit(command.run(main, Config, stored=episodic.stored))
