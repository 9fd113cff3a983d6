"""Runs that are kept in a bucket: a real server on this machine speaks Cloud Storage's protocol."""

import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jaxdl.train.storage import folder
from tests.train import toy
from tests.train.test_processes import ROOT, port

gcsfs = pytest.importorskip("gcsfs")
pytest.importorskip("gcp_storage_emulator")


@pytest.fixture(scope="module")
def server():
    """The environment of programs for which it is Cloud Storage; it has the bucket `runs`."""
    where = port()
    command = [
        *(sys.executable, "-m", "tests.train.cloud_storage", "start"),
        *("--port", str(where), "--quiet", "--in-memory", "--default-bucket", "runs"),
    ]
    running = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(200):
            with socket.socket() as trial:
                if not trial.connect_ex(("127.0.0.1", where)):
                    break
            time.sleep(0.05)
        address = f"http://127.0.0.1:{where}"
        yield os.environ | {
            "STORAGE_EMULATOR_HOST": address,  # gcsfs
            "TENSORSTORE_GCS_HTTP_URL": address,  # Orbax's arrays
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # asks a second server about the bucket
            "JAX_COMPILATION_CACHE_DIR": "",
        }
    finally:
        running.kill()
        running.wait()


def start(environment, *options):
    command = [sys.executable, "-W", "error", "-m", "tests.train.toy", *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )


def test_a_run_killed_at_any_moment_goes_on_as_on_a_disk(server, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server["STORAGE_EMULATOR_HOST"])
    monkeypatch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    out, _ = start(server, "--workdir", str(tmp_path)).communicate()
    expected = out.splitlines()[-1]
    there = folder("gs://runs/a/toy")
    # What a save leaves that was killed before its mark of success.
    (there / "checkpoints" / "10" / "state" / "d").mkdir(parents=True)
    (there / "checkpoints" / "10" / "state" / "d" / "0").write_bytes(b"half")
    draw, reached = random.Random(0), []
    options = ("--workdir", "gs://runs/a/toy", "--pause", "0.2")
    for _ in range(3):
        running = start(server, *options)
        for line in running.stdout:
            if line.startswith(("step", "going on")):
                reached.append(line)
                break
        time.sleep(draw.uniform(0, 1))
        running.kill()
        running.communicate()
    out, error = start(server, *options).communicate()
    assert out.splitlines()[-1] == expected, error
    assert any(line.startswith("going on") for line in reached)
    gcsfs.GCSFileSystem.clear_instance_cache()
    assert toy.rows(there) == toy.rows(tmp_path)
    assert sorted(p.name for p in (there / "checkpoints").iterdir()) == ["30", "40"]


def test_a_mistake_is_one_sentence(server):
    running = start(server, "--workdir", "gs://no-such-bucket/toy")
    out, error = running.communicate()
    assert (running.returncode, out) == (2, "")
    assert error.startswith("error: cannot write gs://no-such-bucket/toy/config.json: ")
    assert len(error.splitlines()) == 1


def test_without_its_package_a_bucket_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ValueError, match="gs://runs/a is in a bucket, for which: pip install gcs"):
        folder(Path("gs://runs/a"))
