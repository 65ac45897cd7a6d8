"""Find, list and read the files of a corpus on disk."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .records import problem


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

    Hidden files are skipped, such as the `._` files of macOS. Files that are outside the copy or cannot be read are added
    to the problems.

    Args:
        root: Folder of the copy, without links.
        folder: Path of the folder, relative to `root`.
        problems: List to extend, see `problem`.
    """
    path = root / folder
    if not _is_inside(path, root):
        problems.append(problem("link out of the copy", f"{folder} leads out of the copy and is not read.", folder))
        return
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except PermissionError:
        problems.append(problem("no permission", f"{folder} may not be read.", folder))
        return
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        file = f"{folder}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and not _is_inside(entry.path, root):
            problems.append(problem("link out of the copy", f"{file} leads out of the copy and is not read.", file))
        elif not os.access(entry.path, os.R_OK):
            problems.append(problem("no permission", f"{file} may not be read.", file))
        elif entry.is_file():
            yield entry.name, entry.path


def _is_inside(path: str | Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a header, in UTF-8. Fields that are missing at the end of a row are empty.

    Args:
        path: The file.
        columns: Required columns.

    Raises:
        ValueError: If the file is not CSV in UTF-8, lacks a column, or has a row with more fields than the header.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            header = reader.fieldnames or []
            if missing := [column for column in columns if column not in header]:
                raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(header) or 'none'}.")
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
