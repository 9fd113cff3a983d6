"""What every experiment with a GAN shares: training, judging, and pictures over time."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from experiments import image_options, mnist_features
from jaxdl.train import command

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.train.state import Method


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(image_options.Config):
    """Options of every GAN."""

    judge: Path | None = None
    """Folder of the classifier that judges, see experiments.mnist_features; by default one in
    runs/, which is trained first when it is not there."""
    network: Literal["dcgan", "mlp"] = "dcgan"
    """Convolutions or dense layers."""
    size: int = 28
    """Side of the images, in pixels: 28, 32 or 64 with convolutions."""
    features: int = 32
    """Channels of the convolutions nearest to the image."""
    latent: int = 64
    """Latent dimensions."""
    loss: Literal["non_saturating", "hinge", "least_squares", "wasserstein"] = "non_saturating"
    """Adversarial loss."""
    penalty: Literal["none", "wgan_gp", "dragan", "r1"] = "none"
    """On the slope of the discriminator."""
    penalty_weight: float = 10.0
    """Of that penalty."""
    normalisation: Literal["batch", "spectral", "none"] = "spectral"
    """Of the discriminator's convolutions."""
    critic_updates: int = 1
    """Updates of the discriminator in a step, each on images of its own."""
    conditional: bool = False
    """Generate and judge by class."""
    average_decay: float = 0.999
    """Share of the averaged parameters, from which is sampled, that a step keeps."""
    batch: int = 64
    """Images in an update."""
    generator_rate: float = 5e-4
    """Learning rate of the generator (Adam, b1 0.5)."""
    discriminator_rate: float = 1e-3
    """Learning rate of the discriminator (Adam, b1 0.5)."""
    schedule: Literal["linear", "constant"] = "linear"
    """Of both learning rates: they fall to 0 at the last step, or stay."""
    steps: int = 5000
    """Training steps."""
    eval_every: int = 1000
    """Steps between validations, each followed by a checkpoint and a row of pictures."""
    samples: int = 10_000
    """Generated images that are judged; as many real ones, but at most half of those there are."""


def run(experiment: str, config: Config, auto: str) -> None:
    """Trains a GAN, judges its images and draws them.

    Args:
      experiment: name of the module that is run.
      config: its options.
      auto: the data set that `--dataset auto` means.
    """
    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxdl.data import images
    from jaxdl.methods.gan import gan
    from jaxdl.train import result, result_older
    from jaxdl.train.digest import digest
    from jaxdl.train.report import Report
    from jaxdl.train.training import train

    command.require_positive(
        config, "batch", "steps", "eval_every", "samples", "features", "generator_rate"
    )
    call = 10  # steps of one compiled call
    if config.eval_every % call or config.steps % call:
        raise ValueError(f"--steps and --eval-every must be multiples of {call}")
    dataset, data = images.load(config.dataset, data_dir=config.data_dir, auto=auto)
    config = dataclasses.replace(config, dataset=dataset)
    judge_config = _judge(config)
    classes = int(data["train"]["label"].max()) + 1
    method, generator = _build(config, classes)
    options = command.of_the_run(config, "judge")
    report = Report(config.workdir or Path(f"runs/{experiment}-{dataset}-seed{config.seed}"))
    report.check_config(options)
    judge, judged_in = mnist_features.train(judge_config, data)
    real = images.resize(data["train"]["image"], config.size)
    part = jax.device_put((real, data["train"]["label"]))
    count = config.batch * config.critic_updates

    def sample(key, part):
        every, label = part
        index = jax.random.randint(key, (count,), 0, len(every))
        return {"image": images.unit(every[index]), "label": label[index]}

    @jax.jit
    def generate(state, latent, label):
        return gan.generate(generator, state, latent, label)

    def generated(state, count, seed):
        found, at_once = [], 500
        for first in range(0, count, at_once):
            key = jax.random.fold_in(jax.random.key(seed), first)
            latent_key, label_key = jax.random.split(key)
            latent = jax.random.normal(latent_key, (at_once, config.latent))
            # As often as in the data: other frequencies alone would be a distance.
            label = jax.random.choice(label_key, part[1], (at_once,))
            found.append(np.asarray(generate(state, latent, label)))
        return np.concatenate(found)[:count]

    strip_latent = jax.random.normal(jax.random.key(3), (10, config.latent))

    def evaluate(state):
        strip = np.asarray(generate(state, strip_latent, jnp.arange(10) % classes))
        samples = Report(report.workdir / "samples")
        samples.save_image(row(strip), f"step-{int(state.step):06}.png")
        probability, _ = judge.predict(generated(state, 1000, 4))
        return measure_classes(probability)

    state = train(
        method,
        sample,
        part,
        batch=config.batch,
        independent=False,
        unit="images",
        seed=config.seed,
        steps=config.steps,
        steps_per_call=call,
        evaluate=evaluate,
        eval_every=config.eval_every,
        log_every=50,
        report=report,
        metadata={"config": options},
    )
    metrics = measure(judge, images.unit(real), generated(state, config.samples, 5))
    result.write(
        report,
        experiment=experiment,
        dataset=dataset,
        protocol={
            "judge": str(judged_in),
            "judge_sha256": judge.digest,
            "judge_accuracy": judge.accuracy,
            "sampled_from": "averaged parameters and statistics, last step",
            "classes": "as often as in the data" if config.conditional else "as they come",
        },
        metrics=result_older.metrics(metrics),
        seed=config.seed,
        steps=int(state.step),
        params_sha256=digest(state.params),
        config=options,
    )
    report.write_curves(
        metrics=("discriminator_loss", "generator_loss", "real_logit", "fake_logit")
    )

    def grid(name, latent, label):
        made = np.asarray(generate(state, latent.reshape(-1, config.latent), label.reshape(-1)))
        rows = made.reshape(*label.shape, *made.shape[1:])
        report.save_image(np.concatenate([row(images) for images in rows]), name)

    columns = jnp.broadcast_to(jnp.arange(10) % classes, (10, 10))
    grid("grid.png", jax.random.normal(jax.random.key(6), (10, 10, config.latent)), columns)
    ends = jax.random.normal(jax.random.key(7), (2, 10, 1, config.latent))
    share = jnp.linspace(0, 1, 10)[:, None]
    grid("interpolation.png", (1 - share) * ends[0] + share * ends[1], columns.T)
    report.save_figure(over_time(report.workdir / "samples"), "over_time.png")
    distance = metrics["frechet_distance"]
    print(
        f"{experiment}: Fréchet distance {distance['value']:.2f} on the judge's features (floor "
        f"{distance['floor']:.2f}, {distance['images']} images), class entropy "
        f"{metrics['class_entropy']['value']:.3f} of {np.log(classes):.3f} nats, confident "
        f"{100 * metrics['confident_share']['value']:.1f} % ({dataset}, judge "
        f"{100 * judge.accuracy:.2f} % right); see {report.workdir}"
    )


def _build(config: Config, classes: int) -> tuple["Method", Any]:
    """Makes the steps from the options; returns them with the generator."""
    import optax

    from jaxdl.methods.gan import gan
    from jaxdl.nn import gan as nets
    from jaxdl.train import optimizers

    labels = classes if config.conditional else 0
    if config.network == "mlp":
        generator = nets.MLPGenerator(config.size, classes=labels)
        discriminator = nets.MLPDiscriminator(classes=labels)
    else:
        generator = nets.Generator(config.size, features=config.features, classes=labels)
        discriminator = nets.Discriminator(config.features, config.normalisation, classes=labels)
    settings = dataclasses.replace(command.pick(gan.Config, config), classes=labels)
    rates = (
        (config.generator_rate, config.steps),
        (config.discriminator_rate, config.steps * config.critic_updates),
    )
    optimizer = tuple(
        optax.adam(optimizers.schedule(config.schedule, rate, updates), b1=0.5)
        for rate, updates in rates
    )
    method = gan.make(settings, network=(generator, discriminator), optimizer=optimizer)
    return method, generator


def _judge(config: Config) -> mnist_features.Config:
    """Returns the options of the classifier that judges: those of its folder, if one is named."""
    from jaxdl.train.report import Report

    wanted = {"dataset": config.dataset, "size": config.size}
    if config.judge is None:
        return mnist_features.Config(**wanted)
    stored = Report(config.judge).config()
    if stored is None or {name: stored.get(name) for name in wanted} != wanted:
        raise ValueError(
            f"{config.judge} has no classifier of {config.dataset} with {config.size} pixels; "
            f"make one with python -m experiments.mnist_features --dataset {config.dataset} "
            f"--size {config.size}"
        )
    return mnist_features.Config(**stored, workdir=config.judge)


def row(images: Any) -> Any:
    """Returns images [n, H, W, C] in [-1, 1] side by side, uint8 [H, n * W]."""
    import numpy as np

    grey = np.asarray(images).mean(-1)
    return np.rint(np.concatenate(list(grey), 1) * 127.5 + 127.5).clip(0, 255).astype(np.uint8)


def measure_classes(probability: Any) -> dict[str, float]:
    """Returns what the judge's probabilities [n, A] say of collapse."""
    from jaxdl.ops import generation as ops

    return {
        "class_entropy": ops.class_entropy(probability),
        "confident_share": ops.confident_share(probability),
    }


def measure(judge: mnist_features.Judge, real: Any, generated: Any) -> dict[str, Any]:
    """Judges generated images beside real ones.

    Args:
      judge: the classifier.
      real: [n, H, W, C] in [-1, 1].
      generated: [m, H, W, C].

    Returns:
      Metrics for `result_older.metrics`; the distances are of as many images as two sets of real
      ones, their floor, can have.
    """
    from jaxdl.ops import generation as ops

    probability, features = judge.predict(generated)
    real_probability, real_features = judge.predict(real)
    count = min(len(generated), len(real) // 2)
    metrics = {}
    for distance in (ops.frechet_distance, ops.kernel_distance):
        metrics[distance.__name__] = {
            "value": distance(real_features[:count], features[:count]),
            "floor": ops.floor(distance, real_features, count),
            "images": count,
        }
    of_real = measure_classes(real_probability)
    for name, value in measure_classes(probability).items():
        metrics[name] = {"value": value, "of real images": of_real[name], "images": len(generated)}
    return metrics


def over_time(folder: Path) -> Any:
    """Draws the rows of pictures in a folder below one another, each with its step."""
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    files = sorted(folder.glob("step-*.png"))
    figure = Figure(figsize=(8, 0.8 * len(files) + 0.2), layout="constrained")
    for axes, file in zip(figure.subplots(len(files), 1, squeeze=False)[:, 0], files, strict=True):
        with file.open("rb") as opened, Image.open(opened) as image:
            axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255)
        axes.set(xticks=[], yticks=[])
        axes.set_ylabel(f"{int(file.stem.removeprefix('step-')):,}", fontsize=7)
    return figure
