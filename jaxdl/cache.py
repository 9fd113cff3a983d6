"""Where everything is kept that can be made again."""

import os
from pathlib import Path

import platformdirs


def cache_dir() -> Path:
    """Returns the folder of decoded data and compiled programs: JAXDL_CACHE_DIR, or the user's."""
    folder = os.environ.get("JAXDL_CACHE_DIR") or platformdirs.user_cache_dir("jaxdl")
    return Path(folder).expanduser()
