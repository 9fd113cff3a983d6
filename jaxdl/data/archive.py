"""Read what is expected of a zip archive from a stranger, and nothing else of it."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 1 << 16  # of a file; Omniglot's drawings have some hundreds
MAX_FILES = 100_000


class ArchiveError(ValueError):
    """The archive is damaged, or what it holds is too large."""


def matching(
    archive: Path | BinaryIO, pattern: re.Pattern, name: str
) -> Iterator[tuple[re.Match, bytes]]:
    """Yields the files of a zip archive whose whole names match, as the match and the content.

    Nothing is written to the disk, so no name can lead astray, and no more than MAX_BYTES are read
    of a file.

    Args:
      archive: its path, or the open file.
      pattern: of the names.
      name: of the archive, for messages.

    Raises:
      ArchiveError: it is damaged, or has too many or too large files.
      OSError: it cannot be opened.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = opened.infolist()
            if len(members) > MAX_FILES:
                raise ArchiveError(f"{name} has {len(members)} files, more than {MAX_FILES}")
            for member in members:
                if found := pattern.fullmatch(member.filename):
                    if member.file_size > MAX_BYTES:
                        raise ArchiveError(f"{name}: {member.filename} is too large")
                    with opened.open(member) as file:
                        # Without a number it would unpack more than the file says that it has.
                        yield found, file.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise ArchiveError(f"{name} is damaged ({error})") from error
