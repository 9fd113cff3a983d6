"""Generate garments.

python -m experiments.fashion_gan                    # scikit-learn's digits, minutes
python -m experiments.fashion_gan --dataset fashion_mnist
"""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from jaxdl.methods.gan import configs as methods
from jaxdl.nn import configs as nets
from jaxdl.problems.configs import generation as configs
from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(configs.Generating):
    """A generative adversarial network of garments."""

    network: nets.AdversarialNetworks = nets.AdversarialNetworks()
    method: methods.GAN = methods.GAN(latent=64)


def make(config: Config, facts: Mapping[str, Any]) -> Any:
    """Makes the method from the options and what the data decide."""
    from jaxdl.methods.gan import gan

    return gan.make(
        options.told(config.method, facts),
        network=config.network.build(facts["size"], facts["channels"], facts["classes"]),
        optimizer=config.training.adams(config.method.critic_updates),
    )


def judge(config: configs.Judge, facts: Mapping[str, Any]) -> Any:
    """Makes the classifier that judges, that of experiments.mnist_features."""
    from jaxdl.methods.supervised import classifier

    settings = classifier.Config(classes=facts["classes"])
    return classifier.make(settings, optimizer=config.problem.adam())


load, opened = configs.load_generation, configs.open_generator


def main(config: Config) -> None:
    """Runs the experiment."""
    from jaxdl.problems import generation

    generation.experiment("fashion_gan", config, make, judge, auto="fashion_mnist")


if __name__ == "__main__":
    sys.exit(command.run(main, Config))
