"""Finished few-shot runs, to classify with."""

import dataclasses
import importlib
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import episodic
from experiments.episodic_options import Config

if TYPE_CHECKING:  # JAX would slow --help down
    from jaxdl.train.state import TrainState


def read(
    folder: Path, way: int, views: int | None = None
) -> tuple[Config, episodic.Built, "TrainState"]:
    """Reads a finished few-shot run back, to classify among `way` classes with it.

    Args:
      folder: its workdir.
      way: the number of classes.
      views: replaces the run's option of that name, see `episodic_options.Metric`.

    Returns:
      Its options, its method and its state at the newest checkpoint.

    Raises:
      ValueError: there is no finished run, or its method is for another number of classes or has
        no such option.
    """
    import jax
    import jax.numpy as jnp

    from jaxdl.train.checkpoint import Checkpoints
    from jaxdl.train.report import Report

    report = Report(folder)
    try:
        name = json.loads((report.workdir / "result.json").read_text())["experiment"]
    except (OSError, ValueError, KeyError, TypeError):
        name = None
    here = {found.name for found in pkgutil.iter_modules([str(Path(__file__).parent)])}
    module = importlib.import_module(f"experiments.{name}") if name in here else None
    options = report.config()
    if not options or not hasattr(module, "build"):
        raise ValueError(f"{folder} has no finished run of a few-shot experiment")
    try:
        config = dataclasses.replace(module.Config(**options), way=way)
    except TypeError as error:
        raise ValueError(f"{folder} was made by another version: {error}") from error
    if views is not None:
        if not hasattr(config, "views"):
            raise ValueError(f"{name} has no --views, it compares no features")
        config = dataclasses.replace(config, views=views)
    built = module.build(config, episodic.schedule(config))
    if way != options["way"] and not built.any_way:
        raise ValueError(
            f"{name} in {folder} tells {options['way']} classes apart, not {way}; "
            f"train it with --way {way}, or use a method such as omniglot_protonet"
        )
    images = jax.ShapeDtypeStruct((1, way, 28, 28, 1), jnp.float32)
    batch = {"support": {"image": images}}
    template = jax.eval_shape(built.method.init, jax.random.key(0), batch)
    with Checkpoints(report.workdir / "checkpoints") as checkpoints:
        state, _ = checkpoints.restore(template)
    return config, built, state
