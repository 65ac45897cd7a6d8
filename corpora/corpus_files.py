"""Find, list and read the files of a corpus on disk."""

import csv
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from .records import problem

DRIVE = re.compile("[A-Za-z]:")  # of a path in Windows
SIMILARITY = 0.75  # of the name of a column to the one that is suggested


def find_root(name: str, root: str | Path | None, is_root: Callable[[Path], bool], holds: str) -> Path:
    """Return the folder of a corpus as an absolute path, after checking it.

    Args:
        name: Name of the corpus in errors.
        root: The folder that the user gave.
        is_root: Function that returns whether a folder contains the corpus.
        holds: Content of such a folder, for errors.

    Raises:
        FileNotFoundError: If there is no such folder.
        PermissionError: If it may not be read.
        ValueError: If `root` is None or not the corpus; if it is one level too high or too deep, the error names the right
            folder.
    """
    if root is None:
        raise ValueError(f"Give the folder of {name} as root (corpus_root in a recipe).")
    root = Path(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give one with {holds} as root.")
    if not os.access(root, os.R_OK | os.X_OK):
        raise PermissionError(f"{root} may not be read: change its permissions.")
    if is_root(root):
        return root
    if _is_root_nearby(root.parent, is_root):
        raise ValueError(f"{root} is one level too deep: give {root.parent} as root.")
    for inner in sorted(root.iterdir()):
        if _is_root_nearby(inner, is_root):
            raise ValueError(f"{root} is one level too high: give {inner} as root.")
    raise ValueError(f"{root} is not the root of {name}: it has no {holds}.")


def _is_root_nearby(folder: Path, is_root: Callable[[Path], bool]) -> bool:
    try:
        return folder.is_dir() and is_root(folder)
    except PermissionError:
        return False


def list_files(root: Path, folder: str, problems: list[dict]) -> Iterator[tuple[str, str]]:
    """Yield the names and paths of the files in a folder of a copy, sorted; none if there is no such folder.

    Links are followed, also to other disks. Hidden files are skipped, such as the `._` files of macOS. Files that cannot be
    read are added to the problems.

    Args:
        root: Folder of the copy.
        folder: Path of the folder, relative to `root`.
        problems: List to extend, see `problem`.
    """
    for entry in _list_entries(root, folder, problems):
        if entry.is_file():
            yield entry.name, entry.path


def list_tree(root: Path, problems: list[dict]) -> Iterator[tuple[str, str, str]]:
    """Yield folder (relative to the root), name and path of all files below a folder, folder by folder, as `list_files`.

    A folder that is found a second time, for example through a link to a folder above it, is not read again.
    """
    waiting, seen = [""], set()
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(root / folder)
        if real in seen:
            continue
        seen.add(real)
        folders = []
        for entry in _list_entries(root, folder, problems):
            if entry.is_dir():
                folders.append(posixpath.join(folder, entry.name))
            elif entry.is_file():
                yield folder, entry.name, entry.path
        waiting += reversed(folders)


def _list_entries(root: Path, folder: str, problems: list[dict]) -> Iterator[os.DirEntry]:
    """Yield the visible and readable entries of a folder, sorted; add those that cannot be read to the problems."""
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except PermissionError:
        problems.append(problem("no permission", f"{folder} may not be read.", folder))
        return
    except OSError:  # it does not exist, is no folder, or is a link that leads nowhere
        return
    for entry in entries:
        file = posixpath.join(folder, entry.name)
        if entry.name.startswith("."):
            continue
        if not _is_text(entry.name):
            problems.append(problem("unreadable name", f"{file} has a name that is not UTF-8: rename it.", file))
        elif entry.is_symlink() and not os.path.exists(entry.path):
            problems.append(problem("broken link", f"{file} is a link to a file that does not exist.", file))
        elif not os.access(entry.path, os.R_OK):
            problems.append(problem("no permission", f"{file} may not be read.", file))
        else:
            yield entry


def _is_text(name: str) -> bool:
    """Return whether a file name is UTF-8, so that a row can hold its path."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def inner_path(folder: str, name: str) -> str | None:
    """Return the path that a metadata file in `folder` names, relative to the root; None if it leaves the root.

    The text alone decides: it may not be absolute, name a drive or lead above the root with "..". Backslashes separate
    folders, too. Links are not looked at, so that they may be followed where the user of the computer has set them.

    Args:
        folder: Path of the metadata file's folder, relative to the root; "" or "." for the root itself.
        name: The path in the metadata file.
    """
    parts = name.replace("\\", "/")
    if "\0" in parts or parts.startswith("/") or DRIVE.match(parts):
        return None
    path = posixpath.normpath(posixpath.join(folder, parts))
    return None if path in (".", "..") or path.startswith("../") else path


def read_text(path: str | Path) -> str:
    """Return the content of a text file in UTF-8, or else in cp1252, without a byte order mark.

    Raises:
        OSError: If it cannot be read.
    """
    content = Path(path).read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def read_csv(path: Path, columns: Sequence[str], errors: str = "strict") -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a header, in UTF-8. Fields that are missing at the end of a row are empty.

    Args:
        path: The file.
        columns: Required columns.
        errors: How bytes that are not UTF-8 are treated, as in `open`.

    Raises:
        ValueError: If the file is not CSV in UTF-8, lacks a column or has one twice, or has a row with more fields than the
            header.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig", errors=errors) as file:
            reader = csv.DictReader(file, restval="", strict=True)
            check_columns(path, list(reader.fieldnames or []), columns)
            for number, row in enumerate(reader, 1):
                if None in row:
                    raise ValueError(
                        f"{path}, row {number}, has more fields than the header: quote a text that holds a comma."
                    )
                yield row
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: save it in that encoding.") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file: {error}.") from error


def check_columns(name: str | Path, columns: Sequence[str], required: Sequence[str] = ()) -> None:
    """Check the columns of a table.

    Args:
        name: Name of the table in errors.
        columns: Its columns.
        required: Columns that it must have.

    Raises:
        ValueError: If it has a column twice, or lacks one.
    """
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise ValueError(f"{name} has the column {twice!r} twice: remove one of them, or give it another name.")
    for column in required:
        if column not in columns:
            similar = next((found for found in columns if suggest_column(found, [column])), None)
            hint = "" if similar is None else f"; rename {similar!r}"
            raise ValueError(f"{name} has no column {column!r}; it has {', '.join(columns) or 'none'}{hint}.")


def suggest_column(column: str, known: Sequence[str]) -> str | None:
    """Return the column of `known` that a name with another spelling or capitals may mean, or None."""
    plain = "_".join(column.lower().replace("-", " ").replace("_", " ").split())
    return next(iter(get_close_matches(plain, known, n=1, cutoff=SIMILARITY)), None)
