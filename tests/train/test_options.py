"""Options within options: flat for people and in files."""

import dataclasses
import subprocess
import sys
from typing import Literal

import pytest

from jaxdl.train import command, options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
    """A method."""

    classes: options.Fact[int] = 10
    """Classes."""
    rate: float = 0.1
    """A rate."""
    hidden: tuple[int, ...] = (4, 8)
    """Units."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(options.Run):
    """An experiment."""

    preset: Literal["small", "large"] = "small"
    """Defaults."""
    method: Method = Method(rate=0.2)
    fast: bool = False
    """Fast."""
    slow: bool = True
    """Slow."""


def test_options_are_flat_and_facts_are_none():
    found = options.flat(Config())
    assert {name: found[name] for name in ("rate", "hidden", "fast", "slow", "seed")} == {
        "rate": 0.2,
        "hidden": (4, 8),
        "fast": False,
        "slow": True,
        "seed": 0,
    }
    assert "classes" not in found
    assert options.of_the_run(Config(), "fast").keys() == {"rate", "hidden", "slow", "seed"}


def test_changed_by_name_wherever_the_option_is():
    config = options.changed(Config(), {"rate": 0.3, "hidden": [2], "seed": 7})
    assert config == Config(method=Method(rate=0.3, hidden=(2,)), seed=7)
    for wrong in ("classes", "rates"):
        with pytest.raises(ValueError, match=f"unknown here: {wrong}"):
            options.changed(Config(), {wrong: 1})


def test_a_config_is_told_the_facts_that_it_has():
    assert options.told(Method(), {"classes": 3, "way": 5}) == Method(classes=3)


def test_two_options_of_one_name_are_a_mistake_of_ours():
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Twice(Config):
        """Has two rates."""

        rate: float = 1.0
        """A rate."""

    with pytest.raises(TypeError, match="two options of Twice are called rate"):
        options.flat(Twice())


def test_the_command_line_is_flat(capsys):
    parsed = command.parse(Config, argv=["--rate", "0.5", "--hidden", "1", "2", "--no-slow"])
    assert parsed == Config(method=Method(rate=0.5, hidden=(1, 2)), slow=False)
    presets = {"small": Config(), "large": Config(method=Method(rate=9.0))}
    assert command.parse(Config, presets, ["--preset", "large"]).method.rate == 9
    with pytest.raises(SystemExit):
        command.parse(Config, argv=["--classes", "3"])
    assert "--classes" in capsys.readouterr().err


def test_switches_name_what_is_not_as_by_default():
    assert options.switches(Config()) == []
    assert options.switches(Config(fast=True, slow=False)) == ["fast", "no_slow"]
    assert options.switches(Config(fast=True, slow=False), "fast") == ["no_slow"]


def test_positive_options_are_named():
    with pytest.raises(ValueError, match="--rate must be positive, got 0"):
        options.require_positive(Config(method=Method(rate=0)), "rate")


@pytest.mark.parametrize(
    ("pace", "per_call"),
    [((4800, 600, 20), 20), ((300, 30, 30, 10), 10), ((60, 20, 30), 10), ((7, 7, 7), 7)],
)
def test_steps_of_one_call(pace, per_call):
    assert options.Pace(*pace).per_call == per_call


def test_an_epoch_is_a_multiple_of_a_call():
    assert options.epoch(1000, 64) == 20  # 15.6 steps
    assert options.epoch(10, 64) == 10
    assert options.epoch(1000, 64, call=1) == 16


def test_importing_is_light():
    code = "import sys, jaxdl.train.options, jaxdl.problems.configs, jaxdl.nn.configs; "
    code += "print({'jax', 'numpy', 'flax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
