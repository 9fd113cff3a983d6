"""A trained method to predict with, on arrays of any number of examples or in a file of its own."""

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxdl.train.evaluation import map_batches
from jaxdl.train.state import Method, TrainState
from jaxdl.train.storage import replacing


class Trained:
    """A finished run, opened to predict with; problems have classes of their own with more verbs.

    Arrays are NumPy's, of any number of examples: they are filled up to batches of one size, so
    that there is one compiled program.
    """

    at_once: int = 64
    """Examples of one call of the compiled program."""
    folder: Path | None = None
    """Of the run, if it was restored from one."""

    def __init__(
        self,
        make: Callable[[Mapping[str, Any]], Method],
        state: TrainState,
        *,
        facts: Mapping[str, Any],
        batch: Any,
        config: Any = None,
        protocol: Mapping[str, Any] | None = None,
    ):
        """Wraps a state; `restore` makes it of a folder.

        Args:
          make: the method from the facts.
          state: trained; its optimizer's state is not looked at.
          facts: see `jaxdl.train.problem.Problem`.
          batch: a batch of the training, or its shapes.
          config: of the experiment.
          protocol: how the method was trained.
        """
        self.make, self.state, self.facts, self.batch = make, state, facts, batch
        self.config, self.protocol = config, protocol or {}
        self.method = make(facts)
        self._programs: dict[Any, Any] = {}

    def compiled(self, method: Method) -> Callable[[TrainState, Any], dict[str, jax.Array]]:
        """Returns the method's prediction, compiled once."""
        return self._programs.setdefault(method.predict, jax.jit(method.predict))

    def apply(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Predicts.

        Args:
          inputs: see `Method.predict`; every leaf has the examples as its first axis.

        Returns:
          NumPy arrays by name, with the examples as their first axis.
        """
        predict = self.compiled(self.method)
        return map_batches(lambda part: predict(self.state, part), inputs, self.at_once)

    def export(self, path: str | os.PathLike, inputs: Mapping[str, Any]) -> None:
        """Writes the compiled prediction with its parameters into one file, see `load_exported`.

        It needs neither the experiment's code nor jaxdl's networks to be used, on CPU, GPU and TPU.

        Args:
          path: of the file.
          inputs: examples of `apply`'s argument, for their types and shapes.

        Raises:
          ValueError: flatbuffers, in which JAX writes it, is not installed.
        """
        if not importlib.util.find_spec("flatbuffers"):
            raise ValueError("exporting needs a package more: pip install flatbuffers")
        function = jax.jit(lambda inputs: self.method.predict(self.state, inputs))
        try:
            (examples,) = jax.export.symbolic_shape("examples")
            exported = _exported(function, inputs, examples)
        except Exception:  # there is no one error of networks that need to know the number
            exported = _exported(function, inputs, self.at_once)
        with replacing(Path(path)) as file:
            file.write(exported.serialize())


def load_exported(path: str | os.PathLike) -> Callable[[Mapping[str, Any]], dict[str, np.ndarray]]:
    """Reads what `Trained.export` wrote.

    Returns:
      As `Trained.apply`.

    Raises:
      ValueError: there is no such file, or it is another's.
    """
    try:
        exported = jax.export.deserialize(bytearray(Path(path).read_bytes()))
    except Exception as error:  # of flatbuffers, struct, JAX
        raise ValueError(f"{path} cannot be read as an exported prediction ({error})") from error
    call, size = jax.jit(exported.call), exported.in_avals[0].shape[0]

    def apply(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        if isinstance(size, int):
            return map_batches(call, inputs, size)
        return jax.device_get(call(dict(inputs)))

    return apply


def _exported(function: Any, inputs: Any, examples: Any) -> Any:
    shapes = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((examples, *np.shape(leaf)[1:]), np.asarray(leaf).dtype),
        dict(inputs),
    )
    platforms = ("cpu", "cuda", "tpu")
    return jax.export.export(function, platforms=platforms)(shapes)
