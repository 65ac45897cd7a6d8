"""Files below a folder."""

import os
from collections.abc import Iterator


def list_files(top: str) -> Iterator[tuple[str, OSError | None]]:
    """Yield the files below a folder, sorted, those of a folder before those below it.

    Links are followed, and no folder is read twice. Hidden files are left out. A folder that cannot be read is there with
    its error.

    Args:
        top: The folder.
    """
    waiting, seen = [top], set()
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield folder, error
            continue
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        yield from ((entry.path, None) for entry in visible if not entry.is_dir())
        waiting += [entry.path for entry in reversed(visible) if entry.is_dir()]
