"""The characters of a few-shot experiment: Omniglot where it can be had, glyphs everywhere."""

from pathlib import Path
from typing import Literal

from jaxdl.data import glyphs, prepare, sources

DataSet = Literal["auto", "omniglot", "glyphs"]


def load(
    dataset: DataSet, *, data_dir: str | Path | None = None, resize: str = sources.RESIZES[0]
) -> tuple[str, sources.Arrays]:
    """Loads the characters that a user asked for, preparing Omniglot when it is not there yet.

    Args:
      dataset: `omniglot`; `glyphs`; or `auto`, Omniglot if it is prepared or can be downloaded,
        else glyphs, with a notice on standard output.
      data_dir: the folder of TFDS directories; None means TFDS_DATA_DIR, or TFDS's own default.
      resize: see `sources.load`.

    Returns:
      (name, arrays): "omniglot" or "glyphs", and the splits as `sources.load` or `glyphs.load`
      gives them.

    Raises:
      ValueError: Omniglot was asked for and cannot be had, or its files are damaged.
    """
    if dataset == "glyphs":
        return "glyphs", glyphs.load()
    if not sources.available("omniglot", data_dir):
        try:
            prepare.download_and_prepare("omniglot", data_dir)
        except (ValueError, OSError) as error:
            if dataset == "omniglot":
                raise
            print(f"Omniglot cannot be had ({error}); using the embedded glyphs instead")
            return "glyphs", glyphs.load()
    return "omniglot", sources.load("omniglot", data_dir=data_dir, resize=resize)
