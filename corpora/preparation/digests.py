"""Digests of the code that reads a corpus and of its files; a change makes the prepared corpus out of date."""

import ast
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path


def digest_code(entries: Iterable[Path]) -> str:
    """Return a digest of Python files and of all files of this package that they import.

    Args:
        entries: The files to begin with.
    """
    return hashlib.sha256(b"".join(file.read_bytes() for file in reachable_files(entries))).hexdigest()[:12]


def reachable_files(entries: Iterable[Path]) -> list[Path]:
    """Return Python files and all files that they reach by relative imports, in functions too, sorted by path.

    An `__init__.py` counts only if a name is imported from it, not as the package of another file.
    """
    waiting, found = [Path(entry).resolve() for entry in entries], set()
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _imported_files(file)
    return sorted(found)


def _imported_files(file: Path) -> Iterator[Path]:
    for level, module, names in _relative_imports(file.read_bytes()):
        target = file.parents[level - 1].joinpath(*module.split("."))
        if target.is_dir():
            modules = [target / f"{name}.py" for name in names]
            yield from (module if module.is_file() else target / "__init__.py" for module in modules)
        else:
            yield target.with_suffix(".py")


@cache
def _relative_imports(code: bytes) -> list[tuple[int, str, list[str]]]:
    """Return level, module and names of each relative import; cached, since parsing takes most of the time of a digest."""
    nodes = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom) and node.level)
    return [(node.level, node.module or "", [alias.name for alias in node.names]) for node in nodes]


def digest_files(sources: Iterable[Path]) -> str:
    """Return a digest of the names, sizes and modification times of files and folders; contents are not read.

    Links are followed; a folder that is found a second time, for example through a link to a folder above it, is not read
    again.
    """
    digest, seen = hashlib.sha256(), set()
    for source in sources:
        for path, size, time in _walk(str(source), seen):
            digest.update(f"{path}\0{size}\0{time}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk(path: str, seen: set[tuple[int, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and modification time (ns) of a file, or of all visible files below a folder; zeros if unreadable.

    Args:
        path: The file or folder.
        seen: The folders that have been read, as device and inode; extended by those that are read now.
    """
    waiting = [path]
    while waiting:
        path = waiting.pop()
        try:
            state = os.stat(path)
            if not stat.S_ISDIR(state.st_mode):
                yield path, state.st_size, state.st_mtime_ns
            elif (state.st_dev, state.st_ino) not in seen:
                seen.add((state.st_dev, state.st_ino))
                visible = [entry.path for entry in os.scandir(path) if not entry.name.startswith(".")]
                waiting += sorted(visible, reverse=True)
        except OSError:
            yield path, 0, 0
