"""Fixtures for all tests: real data where it is at hand, a cache folder of each test's own."""

import os
from pathlib import Path

import jax
import pytest

from jaxdl.train import runtime

ROOT = Path(__file__).resolve().parents[1]

# They make the numbers that tests compare with, and need PyTorch.
collect_ignore_glob = ["methods/pytorch_*.py"]

# Fake devices, so that every machine tests what several devices do. Must precede any JAX call.
jax.config.update("jax_num_cpu_devices", 8)
# Most tests compile for seconds what then runs for milliseconds.
jax.config.update("jax_disable_most_optimizations", True)
if jax.__version_info__ < (0, 11):  # XLA then compiles in half the time; later ones lack the flag
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_use_fusion_emitters=false"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXDL_CACHE_DIR", str(tmp_path / "cache"))
    # JAX has started already; an experiment in this process must not tell other tests' processes.
    monkeypatch.setattr(runtime, "configure", lambda: None)


@pytest.fixture(scope="session")
def tfds_dir():
    """The folder with prepared TFDS directories: TFDS_DATA_DIR, or next to the repository."""
    folder = Path(os.environ.get("TFDS_DATA_DIR") or ROOT.parent / "shared" / "tfds")
    if not (folder / "omniglot").is_dir():
        pytest.skip(f"no prepared data sets in {folder}")
    return folder


@pytest.fixture(scope="session")
def raw_data_dir():
    """The folder with the original archives of the data sets, next to the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not (folder / "mnist_idx").is_dir():
        pytest.skip(f"no original archives in {folder}")
    return folder
