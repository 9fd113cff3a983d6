"""Runs that are killed again and again, at any moment, end as if nothing had been.

python -m pytest -m slow tests/train/test_kills.py -s     # prints every kill
"""

import json
import random
import time

import pytest

from tests.train.test_processes import ended, start, two, wait_for
from tests.train.toy import rows

KILLS = 25
# Of 20 steps, with a checkpoint at the end of each: several a second. Two processes are slower.
EPOCHS = {1: "1000", 2: "150"}


def begin(folder, count):
    options = ("--epochs", EPOCHS[count])
    return two(folder, *options) if count == 2 else [start(folder, *options, devices=1)]


def digest(folder):
    return json.loads((folder / "result.json").read_text())["params_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
def test_killed_at_any_moment(tmp_path, count):
    whole, often = tmp_path / "whole", tmp_path / "often"
    began = time.monotonic()
    first = begin(whole, count)
    wait_for(first[0], "step 40/", [])
    usual = time.monotonic() - began
    assert {code for code, _, _ in ended(first)} == {0}
    draw = random.Random(count)
    done = 0
    for number in range(KILLS):
        started = begin(often, count)
        which = draw.randrange(count)
        wait = draw.uniform(0, 2 * usual)
        time.sleep(wait)
        started[which].kill()
        found = ended(started)
        for code, out, err in found:
            # Killed, aborted with its peer, or done before.
            assert code in (-9, -6, 0, 1), (out, err)
            assert "Traceback" not in err or "ended because" in err, err
        logged = rows(often) if (often / "metrics.jsonl").exists() else []
        reached = logged[-1]["step"] if logged else 0
        print(
            f"kill {number + 1}: process {which} after {wait:.2f} s, at step {reached}, "
            f"exit codes {[code for code, _, _ in found]}",
            flush=True,
        )
        done += reached > 0
    assert done > KILLS / 2
    assert {code for code, _, _ in ended(begin(often, count))} == {0}
    assert digest(often) == digest(whole)
    assert rows(often) == rows(whole)
