"""Digests of the code that reads a corpus and of its files; a change makes the prepared corpus out of date."""

import ast
import hashlib
import os
from collections.abc import Iterable, Iterator
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
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.level:
            target = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            if target.is_dir():
                modules = [target / f"{alias.name}.py" for alias in node.names]
                yield from (module if module.is_file() else target / "__init__.py" for module in modules)
            else:
                yield target.with_suffix(".py")


def digest_files(sources: Iterable[Path]) -> str:
    """Return a digest of the names, sizes and modification times of files and folders; contents are not read."""
    digest = hashlib.sha256()
    for source in sources:
        for path, size, time in _walk(str(source)):
            digest.update(f"{path}\0{size}\0{time}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk(path: str) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and modification time (ns) of a file, or of all visible files below a folder; zeros if unreadable."""
    try:
        if not os.path.isdir(path):
            state = os.stat(path)
            yield path, state.st_size, state.st_mtime_ns
            return
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError:
        yield path, 0, 0
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            try:
                state = entry.stat()
            except OSError:
                yield entry.path, 0, 0
            else:
                yield entry.path, state.st_size, state.st_mtime_ns
