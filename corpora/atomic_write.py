"""Files that appear in a folder all together or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder inside `folder`; the files in it at the end are renamed into `folder`, after an error none is.

    Args:
        folder: An existing folder.

    Raises:
        FileNotFoundError: If `folder` is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: create it first, a checkpoint with save_pretrained.")
    with tempfile.TemporaryDirectory(prefix=".staged-", dir=folder) as staging:
        yield Path(staging)
        for file in sorted(Path(staging).iterdir()):
            os.replace(file, folder / file.name)
