import functools
import gzip
import hashlib
import http.server
import socket
import threading

import numpy as np
import pytest

from jaxdl.data import fetch, prepare, sources


def assert_is_idx(arrays, folder):
    """Checks every pixel and label; TFDS orders records by the MD5 of split and index."""
    for split, prefix in (("train", "train"), ("test", "t10k")):
        count = len(arrays[split]["label"])
        order = sorted(range(count), key=lambda i: hashlib.md5(f"{split}{i}".encode()).digest())
        for field, kind, start in (("image", "images-idx3", 16), ("label", "labels-idx1", 8)):
            packed = (folder / f"{prefix}-{kind}-ubyte.gz").read_bytes()
            values = np.frombuffer(gzip.decompress(packed), np.uint8, offset=start)
            values = values.reshape(arrays[split][field].shape)[order]
            np.testing.assert_array_equal(arrays[split][field], values)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")  # urllib would ask a proxy even for the loopback interface


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    """Serves a folder on the loopback interface; returns its address."""
    servers = []

    def start(folder, handler=Quiet):
        bound = functools.partial(handler, directory=str(folder))
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), bound))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_download(registered, digits, serve, tmp_path, capsys):
    argv = ["mnist", "--data-dir", str(tmp_path / "out"), "--mirror", serve(digits)]
    assert prepare.main(argv) == 0
    arrays = sources.load("mnist", data_dir=tmp_path / "out")
    assert_is_idx(arrays, digits)
    assert "is ready in" in capsys.readouterr().out
    # Prepared already: neither downloads nor looks for archives.
    prepare.download_and_prepare("mnist", tmp_path / "out", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("damage", "message"),
    [("flip", "SHA-256 differs"), ("longer", "differs"), ("cut", "broke off"), ("gone", "404")],
)
def test_bad_download_is_refused(
    registered, digits, serve, tmp_path, one_sentence, damage, message
):
    file = digits / "train-labels-idx1-ubyte.gz"
    content = bytearray(file.read_bytes())
    content[20] ^= damage == "flip"
    file.write_bytes(content[: -3 if damage == "cut" else None] + b"x" * (damage == "longer"))
    if damage == "gone":
        file.unlink()
    argv = ["mnist", "--data-dir", str(tmp_path / "out"), "--mirror", serve(digits)]
    assert prepare.main(argv) == 2
    assert message in (error := one_sentence())
    assert file.name in error
    assert not (tmp_path / "out").exists()


def test_broken_off_download_is_tried_again(registered, digits, serve, tmp_path):
    requests = []

    class BreaksOffOnce(Quiet):
        def copyfile(self, source, outputfile):
            requests.append(self.path)
            content = source.read()
            outputfile.write(content[: len(content) // 2 if len(requests) == 1 else None])

    mirror = serve(digits, BreaksOffOnce)
    prepare.download_and_prepare("mnist", tmp_path / "out", mirror=mirror)
    assert len(requests) == 5
    assert sources.available("mnist", tmp_path / "out")


def test_unreachable_hosts_are_one_sentence(registered, tmp_path, monkeypatch, one_sentence):
    argv = ["mnist", "--data-dir", str(tmp_path / "out")]
    assert prepare.main(argv) == 2  # a name that does not resolve
    assert "registered.invalid" in (error := one_sentence())
    assert "--from" in error
    with socket.socket() as unused:  # bound but not listening: refuses
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        assert prepare.main([*argv, "--mirror", f"http://127.0.0.1:{port}"]) == 2
        assert "refused" in one_sentence()
    monkeypatch.setattr(fetch, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, never answers
        port = silent.getsockname()[1]
        assert prepare.main([*argv, "--mirror", f"http://127.0.0.1:{port}"]) == 2
        assert "no answer within 0.2 s" in one_sentence()
    assert prepare.main([*argv, "--mirror", "nonsense"]) == 2
    assert "unknown url type" in one_sentence()


@pytest.mark.slow
def test_real_mnist_downloads_with_the_registered_checksums(raw_data_dir, serve, tmp_path):
    mirror = serve(raw_data_dir / "mnist_idx")
    prepare.download_and_prepare("mnist", tmp_path / "out", mirror=mirror)
    assert_is_idx(sources.load("mnist", data_dir=tmp_path / "out"), raw_data_dir / "mnist_idx")
