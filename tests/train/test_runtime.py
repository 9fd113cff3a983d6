import os
import subprocess
import sys

from jaxdl.train import runtime

# Imported before the fixture of all tests takes it out of action.
configure = runtime.configure


def test_what_the_user_has_set_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXDL_CACHE_DIR", str(tmp_path))
    environment = {"JAX_NUM_CPU_DEVICES": "3"}
    configure(environment)
    assert environment["JAX_NUM_CPU_DEVICES"] == "3"
    assert environment["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path / "programs")


def test_a_second_process_finds_the_programs_of_the_first(tmp_path):
    code = """
from jaxdl.train import runtime
import os
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
runtime.configure()
import jax
from jax._src import compilation_cache
assert jax.device_count() == len(os.sched_getaffinity(0))
found = []
get = compilation_cache.get_executable_and_time
def spy(*args, **kwargs):
    result = get(*args, **kwargs)
    found.append(result[0] is not None)
    return result
compilation_cache.get_executable_and_time = spy
print(float(jax.jit(lambda x: x @ x)(jax.numpy.ones((4, 4)))[0, 0]), any(found))
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    environment["JAXDL_CACHE_DIR"] = str(tmp_path)
    lines = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        lines.append(done.stdout.strip())
        assert "error" not in done.stderr.lower(), done.stderr
    assert lines == ["4.0 False", "4.0 True"]
