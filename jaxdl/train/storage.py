"""Where a run is kept: a folder of a disk, or of a bucket of Cloud Storage, `gs://BUCKET/...`.

In a bucket an object appears whole or not at all, but there are no locks, nothing can be appended
to, and nothing renamed.
"""

import errno
import importlib.util
import io
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_BUCKETS = "gs://"


def folder(path: str | os.PathLike) -> Any:
    """Returns a folder that need not exist: a `Path`, or an `etils.epath.Path` of a bucket.

    Raises:
      ValueError: buckets need a package that is not installed.
    """
    # A Path, which command lines give, has made one slash of two.
    text = re.sub("^gs:/+", _BUCKETS, os.fspath(path))
    if not text.startswith(_BUCKETS):
        return Path(text)
    if not importlib.util.find_spec("gcsfs"):
        raise ValueError(f"{text} is in a bucket, for which: pip install gcsfs")
    from etils import epath

    return epath.Path(text)


def in_bucket(path: Any) -> bool:
    """Says whether `folder` found a bucket in the path."""
    return str(path).startswith(_BUCKETS)


@contextmanager
def errors_of(path: Any, fail: Callable[[str], Exception]) -> Iterator[None]:
    """Turns what goes wrong on a disk or in a bucket into one error.

    Args:
      path: of the folder.
      fail: from the reason to the error.
    """
    try:
        yield
    except Exception as error:
        # The errors of these, which need not be installed, are no OSErrors.
        package = type(error).__module__.partition(".")[0]
        of_bucket = in_bucket(path) and package in ("gcsfs", "google", "aiohttp")
        if not of_bucket and not isinstance(error, OSError):
            raise
        raise fail(reason_of(error)) from error


def reason_of(error: Exception) -> str:
    """Returns the one line of an error that tells a person what to do about it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO):
        if os.strerror(code) in str(error):  # the C++ layers put it at the end of a long text
            return os.strerror(code)
    return str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def replacing(path: Any) -> Iterator[IO[bytes]]:
    """Opens a file that takes the place of `path` once it is whole; its folder is made."""
    if in_bucket(path):
        whole = io.BytesIO()
        yield whole
        path.write_bytes(whole.getvalue())
        return
    temporary = path.with_name(f".{path.name}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


class Lines:
    """A file to which lines are appended.

    One of a bucket can only be written anew: `flush` does, and without it lines wait in memory.
    """

    def __init__(self, path: Any):
        self._path = path
        self._file: IO[bytes] | None = None
        self._whole = b""
        if in_bucket(path):
            self._whole = path.read_bytes() if path.exists() else b""
        else:
            self._file = path.open("ab", buffering=0)
        self._written = len(self._whole)

    def append(self, line: bytes) -> None:
        """Adds a line, at once on a disk."""
        if self._file is None:
            self._whole += line
            return
        while line:
            line = line[self._file.write(line) :]

    def flush(self) -> None:
        """Returns when all lines are in the bucket."""
        if self._written != len(self._whole):
            self._path.write_bytes(self._whole)
            self._written = len(self._whole)

    def close(self) -> None:
        """Flushes and lets go of the file."""
        self.flush()
        if self._file is not None:
            self._file.close()
