"""Files that appear in a folder all together or not at all."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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


def write_json(path: str | Path, content: Any) -> None:
    """Write indented JSON to `path`, all of it or nothing."""
    path = Path(path)
    with staged(path.parent) as staging:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (staging / path.name).write_text(f"{text}\n", encoding="utf-8")
