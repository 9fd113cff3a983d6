"""Download a file of known size and SHA-256, or fail within seconds."""

import hashlib
import http.client
import queue
import sys
import threading
import urllib.error
import urllib.request

CONNECT_SECONDS = 5.0  # name look-up, connection and first answer together
STALL_SECONDS = 10.0  # silence in the middle of a download
ATTEMPTS = 3  # for downloads that break off; a host that cannot be reached is tried once


class FetchError(ValueError):
    """A file cannot be downloaded, or is not the one that was expected."""


def fetch(url: str, size: int, checksum: str) -> bytes:
    """Downloads a file, with a progress bar on a terminal.

    Args:
      url: its address.
      size: its length in bytes; no more is ever read.
      checksum: its SHA-256 in hexadecimal.

    Returns:
      The contents, which have that size and checksum.

    Raises:
      FetchError: no answer within CONNECT_SECONDS, broken off ATTEMPTS times, or another file.
    """
    print(f"downloading {url} ({size / 1e6:.1f} MB)", file=sys.stderr)
    for _ in range(ATTEMPTS):
        try:
            response = _open(url)
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(error).removeprefix("<urlopen error ").removesuffix(">")
            break
        content, reason = _read(response, size)
        if len(content) >= size:
            if len(content) > size or hashlib.sha256(content).hexdigest() != checksum:
                raise FetchError(f"{url} is not the file it should be: its size or SHA-256 differs")
            return content
    raise FetchError(f"{url} cannot be downloaded ({reason})")


def _open(url: str) -> http.client.HTTPResponse:
    """Opens a web address, or raises within CONNECT_SECONDS.

    A socket's own timeout holds for each address of a host, and not for the name look-up: behind
    a firewall that drops packets that adds up to minutes. So a thread tries, and is left behind.
    """
    answers: queue.Queue = queue.Queue()

    def attempt():
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "jaxdl"})
            answers.put(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:  # handed to the caller
            if isinstance(error, urllib.error.HTTPError):
                error.close()  # it holds the connection
            answers.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        answer = answers.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {CONNECT_SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _read(response: http.client.HTTPResponse, size: int) -> tuple[bytes, str]:
    """Reads to the end but not far beyond size; returns what came, and why it is not more."""
    import tqdm

    content = bytearray()
    try:
        with response, tqdm.tqdm(total=size, unit="B", unit_scale=True, disable=None) as progress:
            while len(content) <= size and (piece := response.read(1 << 16)):
                content += piece
                progress.update(len(piece))
        reason = "no more came"
    except (OSError, http.client.HTTPException) as error:
        reason = str(error)
    return bytes(content), f"it broke off after {len(content)} of {size} bytes: {reason}"
