"""A run is a folder: opened, trained in, finished, and opened again to predict.

config.json     the options of the run; another run is refused
model.json      what is needed, besides them, to make the trained method again without the data
and what `jaxdl.train.report` and `jaxdl.train.checkpoint` say.
"""

import importlib.util
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.train import options, processes, result
from jaxdl.train.checkpoint import Checkpoints
from jaxdl.train.digest import digest, parsed, type_of
from jaxdl.train.loop import fit
from jaxdl.train.options import Pace, folder_of
from jaxdl.train.problem import Measured, Problem
from jaxdl.train.report import Report
from jaxdl.train.state import Method, TrainState
from jaxdl.train.step import compile_step, data_mesh


class Run(NamedTuple):
    """A folder that was opened for a training."""

    experiment: str
    """The module that is run; of a part of one, `module, part`."""
    report: Report
    """Its files."""
    options: Mapping[str, Any]
    """Those that define it, a flat JSON object."""
    seed: int
    """Of the parameters and the batches."""
    whole: Mapping[str, Any] | None = None
    """Of a part, the options of the whole experiment."""

    def part(
        self, name: str, options: Mapping[str, Any] | None = None, *, folder: str | None = None
    ) -> "Run":
        """Returns a training of its own in a folder within this one.

        Args:
          name: what a person calls it.
          options: that define it; None for those of the whole.
          folder: its name; None for what `jaxdl.train.options.folder_of` says.
        """
        return Run(
            f"{self.experiment.partition(', ')[0]}, {name}",
            Report(self.report.workdir / (folder or folder_of(name))),
            self.options if options is None else options,
            self.seed,
            self.options,
        )


def open(experiment: str, config: Any, folder: str | os.PathLike, *others: str) -> Run:
    """Opens the folder of a run, a new one or one to go on with.

    Args:
      experiment: name of the module that is run.
      config: its options, with `workdir` and, when something is drawn, `seed`.
      folder: where the run is when `workdir` is None.
      *others: see `jaxdl.train.options.of_the_run`.

    Raises:
      WorkdirError: the folder holds another run, or cannot be written.
    """
    report = Report(config.workdir or folder)
    chosen = options.of_the_run(config, *others)
    report.check_config(chosen, options.of_the_run(type(config)(), *others))
    return Run(experiment, report, chosen, getattr(config, "seed", 0))


def train(
    run: Run,
    method: Method,
    problem: Problem,
    *,
    pace: Pace,
    independent: bool = True,
    score: str | None = None,
    patience: int | None = None,
) -> TrainState:
    """Trains on all devices that can share a batch; goes on where the folder stopped.

    Args:
      run: the folder; its checkpoints are in `checkpoints` there.
      method: to train; its parameters start from the run's seed.
      problem: to train it on.
      pace: how long, and what happens on the way.
      independent: whether examples meet nowhere but in the gradient, see `data_mesh`.
      score: see `jaxdl.train.loop.fit`.
      patience: see `jaxdl.train.loop.fit`.

    Returns:
      The state after the last step.
    """
    batch = jax.eval_shape(problem.sample, jax.random.key(0), problem.data)
    protocol = {**problem.protocol, **method.protocol}
    experiment, _, part = run.experiment.partition(", ")
    model = {
        "experiment": experiment,
        "part": part,
        "config": run.options if run.whole is None else run.whole,
        "facts": dict(problem.facts),
        "protocol": protocol,
        "batch": jax.tree.map(type_of, batch),
    }
    state = jax.jit(lambda key: method.init(key, problem.sample(key, problem.data)))(
        jax.random.key(run.seed)
    )
    step = compile_step(
        method.train_step,
        mesh=data_mesh(batch=problem.size, independent=independent),
        sample=problem.sample,
        steps_per_call=pace.per_call,
    )
    run.report.write_json("model.json", model)
    # Two checkpoints: the second is for when the first is damaged.
    with Checkpoints(run.report.workdir / "checkpoints", keep=2) as checkpoints:
        return fit(
            step,
            state,
            lambda _: problem.data,
            steps=pace.steps,
            steps_per_call=pace.per_call,
            evaluate=problem.validate(method),
            eval_every=pace.eval_every,
            log_every=pace.log_every,
            checkpoints=checkpoints,
            report=run.report,
            metadata={"config": run.options, "protocol": protocol},
            score=score,
            rate_unit=(problem.unit, problem.size),
            patience=patience,
        )


def finish(
    run: Run,
    measured: Measured,
    *,
    dataset: str,
    protocol: Mapping[str, Any],
    state: TrainState | None = None,
    suffix: str = "",
) -> dict[str, Any]:
    """Writes what was measured, draws the pictures, and prints the last line.

    Args:
      run: the folder.
      measured: by the test of a problem.
      dataset: on which it was measured.
      protocol: how it was measured.
      state: that was measured; None when nothing was trained.
      suffix: of the names of the files.

    Returns:
      What is in `result{suffix}.json`.
    """
    found = result.write(
        run.report,
        name=f"result{suffix}.json",
        experiment=run.experiment,
        dataset=dataset,
        protocol=protocol,
        metrics=measured.metrics,
        seed=run.seed,
        steps=0 if state is None else int(state.step),
        params_sha256=None if state is None else digest(state.params),
        config=run.options,
    )
    for name, draw in measured.figures.items():
        if processes.is_main():
            stem, ending = name.rsplit(".", 1)
            picture = draw()
            save = (
                run.report.save_image if isinstance(picture, np.ndarray) else run.report.save_figure
            )
            save(picture, f"{stem}{suffix}.{ending}")
    print(f"{run.experiment}: {measured.says}; see {run.report.workdir}")
    return found


def experiment(
    run: Run,
    method: Method,
    problem: Problem,
    *,
    pace: Pace,
    independent: bool = True,
    score: str | None = None,
    patience: int | None = None,
    curves: tuple[str, ...] = ("loss", "accuracy"),
    chance: float | None = None,
) -> tuple[TrainState, Measured]:
    """Trains, tests and writes everything; arguments as of `train` and `Report.write_curves`.

    Returns:
      The state after the last step and what the test found.
    """
    state = train(
        run,
        method,
        problem,
        pace=pace,
        independent=independent,
        score=score,
        patience=patience,
    )
    run.report.write_curves(metrics=curves, chance=chance)
    measured = problem.test(method)(state)
    protocol = {**problem.protocol, **method.protocol}
    finish(run, measured, dataset=problem.dataset, protocol=protocol, state=state)
    return state, measured


def restore(
    folder: str | os.PathLike,
    *,
    checkpoint: Literal["latest", "best"] = "latest",
    **changes: Any,
) -> Any:
    """Opens a finished or stopped run, or a part of one in a folder of its own.

    The experiment that made it must be importable: its module says how options become a method.

    Args:
      folder: of the run.
      checkpoint: which of its checkpoints; the best is by validation.
      **changes: options that are to be otherwise than in training, such as `views=8`.

    Returns:
      A `Trained` with the verbs of its problem: `predict`, `scores`, `generate`.

    Raises:
      ValueError: there is no run, its experiment cannot be imported, or has no such option.
      CheckpointError: there is no checkpoint, or it is damaged.
    """
    if checkpoint not in ("latest", "best"):
        raise ValueError(f"checkpoint must be latest or best, got {checkpoint}")
    report = Report(folder)
    model = _model(report)
    parts = report.workdir.glob("*/checkpoints"), report.workdir.glob("*/*/checkpoints")
    if not (report.workdir / "checkpoints").exists() and (
        inner := sorted(str(each.parent) for found in parts for each in found)
    ):
        raise ValueError(f"{report.workdir} holds several networks; open {', '.join(inner)}")
    module = _module(model["experiment"], report.workdir)
    try:
        config = options.changed(module.Config(), model["config"])
        if unknown := sorted(changes.keys() - options.flat(config).keys()):
            raise ValueError(f"{model['experiment']} has no --{unknown[0]}")
        config = options.changed(config, changes)
        part = (model["part"],) if model["part"] else ()
        if model["facts"] is None:  # made before model.json was written
            problem = module.load(config, *part)
            batch = jax.eval_shape(problem.sample, jax.random.key(0), problem.data)
            model |= {"facts": problem.facts, "protocol": problem.protocol}
        else:
            batch = jax.tree.map(_shape, model["batch"])

        def make(facts: Mapping[str, Any]) -> Method:
            return module.make(config, facts, *part)

        template = jax.eval_shape(make(model["facts"]).init, jax.random.key(0), batch)
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(
            f"what {report.workdir} says of its run cannot be used ({error!r:.200}); run its "
            "experiment there again, which writes it anew"
        ) from error
    with Checkpoints(report.workdir / "checkpoints") as checkpoints:
        step = checkpoints.best_step() if checkpoint == "best" else None
        state, _ = checkpoints.restore(template._replace(opt_state=None), step)
    trained = module.opened(
        make,
        state,
        facts=model["facts"],
        batch=batch,
        config=config,
        protocol=model["protocol"],
    )
    trained.folder = report.workdir
    return trained


def _model(report: Report) -> dict[str, Any]:
    workdir = report.workdir
    if model := _read(workdir / "model.json"):
        names = ("experiment", "part", "config", "facts", "protocol", "batch")
        if missing := [name for name in names if name not in model]:
            raise ValueError(f"{workdir / 'model.json'} is damaged: it has no {missing[0]}")
        return model
    # Before there was model.json, the options of the whole were in a folder above its parts.
    own, config = _read(workdir / "result.json"), _read(workdir / "config.json")
    experiment, _, part = str((own or {}).get("experiment", "")).partition(", ")
    if experiment and config and not part:
        return {"experiment": experiment, "part": "", "config": config, "facts": None}
    for folder in workdir.parents[:2]:
        whole, config = _read(folder / "result.json"), _read(folder / "config.json")
        if config and whole and "experiment" in whole:
            part = part or workdir.relative_to(folder).as_posix()
            name = whole["experiment"]
            return {"experiment": name, "part": part, "config": config, "facts": None}
    raise ValueError(
        f"{workdir} has no finished run; one that an older version began is opened once its "
        "experiment has gone on there"
    )


def _read(path: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _module(name: str, folder: Any) -> ModuleType:
    """Imports an experiment of the clone that jaxdl is in, wherever Python was started."""
    path = Path(__file__).parents[2] / "experiments" / f"{name}.py"
    # A folder may be a stranger's: it can choose among experiments, and import nothing else.
    if re.fullmatch(r"[a-z0-9_]+", str(name)) and path.is_file():
        module = sys.modules.get(f"experiments.{name}")
        spec = importlib.util.spec_from_file_location(f"experiments.{name}", path)
        if module is None and spec and spec.loader:
            # Python looks for a class's module to know the types of its fields.
            module = sys.modules[f"experiments.{name}"] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        if module is not None and hasattr(module, "opened"):
            return module
    raise ValueError(
        f"{folder} was made by experiments.{name}, which is not beside jaxdl here or makes nothing "
        "to open: install jaxdl from a clone (pip install -e), or export the prediction there"
    )


def _shape(text: str) -> jax.ShapeDtypeStruct:
    dtype, shape = parsed(text)
    return jax.ShapeDtypeStruct(shape, jnp.dtype(dtype))
