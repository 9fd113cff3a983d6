import pytest

from jaxdl.data import characters, glyphs, prepare, sources


@pytest.fixture
def machine(monkeypatch):
    """A machine without a network; returns a dict that says what is prepared there."""
    prepared = {"omniglot": False, "network": False}

    def download(name, data_dir=None):
        if not prepared["network"]:
            raise prepare.PrepareError("no route to the host")
        prepared["omniglot"] = True

    monkeypatch.setattr(sources, "available", lambda name, data_dir=None: prepared["omniglot"])
    monkeypatch.setattr(sources, "load", lambda name, **options: {"real": options})
    monkeypatch.setattr(prepare, "download_and_prepare", download)
    monkeypatch.setattr(glyphs, "load", lambda: {"made": {}})
    return prepared


def test_auto_takes_what_is_prepared(machine):
    machine["omniglot"] = True
    name, data = characters.load("auto", data_dir="there", resize="nearest_binary")
    assert (name, data) == (
        "omniglot",
        {"real": {"data_dir": "there", "resize": "nearest_binary"}},
    )


def test_auto_downloads(machine, capsys):
    machine["network"] = True
    assert characters.load("auto")[0] == "omniglot"
    assert capsys.readouterr().out == ""


def test_auto_falls_back_to_glyphs_and_says_so(machine, capsys):
    assert characters.load("auto") == ("glyphs", {"made": {}})
    notice = capsys.readouterr().out
    assert "glyphs" in notice
    assert "no route to the host" in notice
    assert notice.count("\n") == 1


def test_omniglot_that_cannot_be_had_is_an_error(machine):
    with pytest.raises(prepare.PrepareError, match="no route"):
        characters.load("omniglot")


def test_glyphs_never_look_for_omniglot(machine, capsys):
    machine["omniglot"] = machine["network"] = True
    assert characters.load("glyphs")[0] == "glyphs"
    assert capsys.readouterr().out == ""
