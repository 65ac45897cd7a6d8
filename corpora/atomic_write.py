"""Write files atomically: they are complete or absent."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder inside `folder`; move its files into `folder` at the end, and none of them after an error.

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
    """Write a JSON file in UTF-8 atomically.

    Args:
        path: The file, in an existing folder.
        content: Anything that `json` can write.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    path = Path(path)
    with staged(path.parent) as staging:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (staging / path.name).write_text(text, encoding="utf-8")
