"""The command line: which value wins, what a mistake says, and the exit codes."""

import dataclasses
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from jaxdl.train import command
from jaxdl.train.loop import Interrupted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """An experiment."""

    preset: Literal["quick", "paper"] = "quick"
    """Defaults of the other options."""
    way: int = 5
    """Classes in an episode."""
    lr: float = 0.4
    """Learning rate."""
    shape: tuple[int, int] = (1, 2)
    """A shape."""
    eval_only: bool = False
    """Only evaluate."""


PRESETS = {"quick": Config(lr=0.1), "paper": Config(lr=0.01, way=20)}


def values(config):
    return config.preset, config.way, config.lr, config.eval_only


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], ("quick", 5, 0.1, False)),
        (["--preset", "paper"], ("paper", 20, 0.01, False)),
        (["--way", "5", "--preset=paper"], ("paper", 5, 0.01, False)),
        (["--lr", "0.4", "--eval-only"], ("quick", 5, 0.4, True)),
    ],
)
def test_an_option_wins_over_the_preset_and_that_over_the_field(argv, expected):
    assert values(command.parse(Config, PRESETS, argv)) == expected


def test_without_presets():
    assert values(command.parse(Config, argv=["--way", "2"])) == ("quick", 2, 0.4, False)


def test_an_option_wins_over_the_stored_config_and_that_over_the_preset():
    def stored(config):
        return {"way": 7, "lr": 0.2, "shape": [3, 4]} if config.eval_only else None

    config = command.parse(Config, PRESETS, ["--eval-only", "--way", "5"], stored=stored)
    assert values(config) == ("quick", 5, 0.2, True)
    assert config.shape == (3, 4)
    assert values(command.parse(Config, PRESETS, [], stored=stored)) == ("quick", 5, 0.1, False)


def test_what_a_stored_config_lacks_has_the_default_of_the_field():
    config = command.parse(
        Config, PRESETS, ["--preset", "paper", "--eval-only"], stored=lambda config: {"way": 7}
    )
    assert values(config) == ("paper", 7, 0.4, True)


def test_a_stored_config_of_another_version():
    with pytest.raises(ValueError, match="unknown here: shots"):
        command.parse(Config, PRESETS, [], stored=lambda config: {"shots": 1, "way": 5})


@pytest.mark.parametrize(
    "argv", [["--wai", "3"], ["--way", "many"], ["--way"], ["--preset", "huge"], ["5"]]
)
def test_a_bad_option_ends_with_2_and_names_it(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        command.run(pytest.fail, Config, PRESETS, argv)
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert argv[-1] in shown.err + shown.out
    assert "Traceback" not in shown.err


def test_help_shows_the_defaults_of_the_preset(capsys):
    with pytest.raises(SystemExit) as stop:
        command.parse(Config, PRESETS, ["--preset", "paper", "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "Classes in an episode. (default: 20)" in shown


def run(main, capsys):
    """Returns the exit code and what was printed on standard error."""
    code = command.run(main, Config, PRESETS, [])
    return code, capsys.readouterr().err


def test_success(capsys):
    assert run(lambda config: values(config), capsys) == (0, "")


def raise_(error):
    raise error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("way is -1,\n  expected more"), "way is -1, expected more"),
        (FileNotFoundError(2, "No such file or directory", "a"), "No such file or directory: a"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ConnectionError("no route"), "no route"),
    ],
)
def test_a_mistake_is_one_sentence_and_2(error, sentence, capsys, monkeypatch):
    def main(config):
        raise_(error)

    assert run(main, capsys) == (2, f"error: {sentence}\n")
    monkeypatch.setenv("JAXDL_DEBUG", "1")
    with pytest.raises(type(error)):
        run(main, capsys)


def test_a_bug_keeps_its_traceback(capsys):
    with pytest.raises(ValueError, match="broadcast"):
        run(lambda config: np.broadcast_shapes((2,), (3,)), capsys)
    with pytest.raises(KeyError):
        run(lambda config: {}["a"], capsys)


@pytest.mark.parametrize(
    ("stop", "code", "said"),
    [
        (Interrupted("saved after step 5", 15, 5), 143, "saved after step 5; to go on"),
        (KeyboardInterrupt(), 130, "stopped at once"),
    ],
)
def test_an_interrupted_command_says_how_to_go_on(stop, code, said, capsys, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "experiments.a", "--name", "two words"])
    found, shown = run(lambda config: raise_(stop), capsys)
    assert found == code
    assert shown.startswith(said)
    assert shown.endswith("type the same command: python -m experiments.a --name 'two words'\n")


def test_importing_is_light():
    heavy = {"jax", "numpy", "flax", "optax", "orbax", "matplotlib"}
    code = f"import sys, jaxdl.train.command; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
