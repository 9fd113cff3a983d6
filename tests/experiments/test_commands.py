"""The commands of README, docs and results are understood; runs go where they always went."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

from jaxdl.data import characters, glyphs
from jaxdl.train import command, options, run

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FOLDERS = {
    **{
        f"omniglot_{name}": f"omniglot_{name}-glyphs-5w1s-seed0"
        for name in (
            *("maml", "anil", "boil", "meta_sgd", "proto_maml", "maml_plus_plus", "imaml"),
            *("reptile", "protonet", "matching", "relation", "r2d2", "siamese", "baseline"),
        )
    },
    "omniglot_baselines": "omniglot_baselines-glyphs-5w1s",
    "omniglot_diary": "omniglot_diary-glyphs-seed0",
    "sinusoid_maml": "sinusoid_maml-seed0",
    "mnist_cnn": "mnist_cnn-best-digits-seed0",
    "mnist_mlp": "mnist_mlp-digits-seed0",
    "fashion_cnn": "fashion_cnn-digits-seed0",
    "fashion_mlp": "fashion_mlp-digits-seed0",
    "cluttered_mnist_stn": "cluttered_mnist_stn-stn-digits-seed0",
    "mnist_distill": "mnist_distill-digits-seed0",
    "mnist_distill_omitted_3": "mnist_distill_omitted_3-digits-seed0",
    "fashion_ensemble": "fashion_ensemble-digits-seed0",
    "mnist_transfer": "mnist_transfer-digits-seed0",
    "multi_digit_multitask": "multi_digit_multitask-digits-seed0",
    "mnist_features": "mnist_features-digits-28",
    "mnist_gan": "mnist_gan-digits-seed0",
    "fashion_gan": "fashion_gan-digits-seed0",
    "mnist_ganomaly": "mnist_ganomaly-digits-pooled-seed0",
    "fashion_ganomaly": "fashion_ganomaly-digits-pooled-seed0",
    "mnist_autoencoder": "mnist_autoencoder-digits-pooled-seed0",
}


def parsed(line):
    """The options of a command, or None when it is not of an experiment."""
    _, _, module, *argv = shlex.split(line, comments=True)
    if not module.startswith("experiments.") or module.startswith("experiments.benchmarks"):
        return None
    found = importlib.import_module(module)
    return command.parse(found.Config, getattr(found, "PRESETS", None), argv)


def commands(text):
    """Those in code, inline or in a block, whole lines joined."""
    code = re.findall(r"`(python -m [^`]+)`", text)
    for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        code += [line for line in map(str.strip, lines) if line.startswith("python -m ")]
    return [line.rstrip(" &").replace("$i", "0") for line in code]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_commands_of_the_pages(path, capsys):
    for line in commands(path.read_text()):
        try:
            parsed(line)
        except SystemExit as stop:
            pytest.fail(f"{line}: {stop.code}, {capsys.readouterr().err}")


def test_the_commands_of_the_results():
    found = [json.loads(path.read_text()) for path in (ROOT / "results").rglob("result*.json")]
    lines = {result["command"]: result for result in found if result["command"]}
    assert len(lines) > 50
    for line, result in lines.items():
        config = parsed(line)
        known = options.flat(config)
        # What the run was made with is what the command says today, but for automatic choices.
        if "--eval-only" in line:
            continue
        for name, value in result["config"].items():
            if name in known and known[name] not in (None, "auto"):
                said = list(known[name]) if isinstance(known[name], tuple) else known[name]
                assert said == value, (line, name)


@pytest.fixture(scope="module")
def made():
    return glyphs.load(classes=120)


class Opened(Exception):
    """Raised where a run would begin."""


@pytest.mark.parametrize("name", FOLDERS)
def test_the_folder_of_a_run(name, made, monkeypatch):
    def stop(experiment, config, folder, *others):
        raise Opened(config.workdir or folder)

    monkeypatch.setattr(characters, "load", lambda *_, **__: ("glyphs", made))
    monkeypatch.setattr(run, "open", stop)
    module = importlib.import_module(f"experiments.{name}")
    config = command.parse(module.Config, getattr(module, "PRESETS", None), [])
    with pytest.raises(Opened) as opened:
        module.main(config)
    assert str(opened.value) == f"runs/{FOLDERS[name]}"
