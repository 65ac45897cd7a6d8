"""Write files atomically: they are complete or absent, and only absent or plain files are replaced."""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..configuration.folder_checks import KINDS

STAGED = ".staged-"  # the prefix of folders of files in progress
LOCK, INNER = ".lock", "new"  # in such a folder: the lock of the process that writes, and the folder of the files
SYSTEM_FOLDERS = ("/dev", "/proc", "/sys")
SHARED_MEMORY = "/dev/shm"  # an ordinary folder among them
ATTEMPTS = 10
_cleaned: set[str] = set()  # patterns of the leftovers that this process has removed


@contextmanager
def staged(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder inside `folder`; move its files into `folder` at the end, and none of them after an error.

    Args:
        folder: An existing folder.

    Raises:
        FileExistsError: If a file would replace anything but a plain file, see `check_replaceable`.
        FileNotFoundError: If `folder` is not a folder.
        OSError: If it cannot be written to.
    """
    folder = Path(folder)
    _check_folder(folder)
    with workshop(folder, STAGED) as staging:
        yield staging
        files = sorted(staging.iterdir())
        for file in files:
            if not file.is_dir():
                check_replaceable(folder / file.name)
        for file in files:
            os.replace(file, folder / file.name)


def write_json(path: str | Path, content: Any) -> None:
    """Write a JSON file in UTF-8 atomically.

    Args:
        path: The file, in an existing folder.
        content: Anything that `json` can write.

    Raises:
        FileExistsError: If `path` is anything but a plain file, see `check_replaceable`.
        FileNotFoundError: If the folder does not exist.
        OSError: If it cannot be written to.
    """
    path = Path(path)
    check_replaceable(path)
    with staged(path.parent) as staging:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (staging / path.name).write_text(text, encoding="utf-8")


def check_file(path: str | Path) -> None:
    """Check that a file can be written, before the work whose result it will hold.

    Raises:
        FileExistsError: If it is anything but a plain file, see `check_replaceable`.
        FileNotFoundError: If its folder does not exist.
        OSError: If its folder cannot be written to.
    """
    check_replaceable(path)
    _check_folder(Path(path).parent)
    with workshop(Path(path).parent, STAGED):
        pass


def check_replaceable(path: str | Path) -> None:
    """Raise a `FileExistsError` if a path is a folder, device, fifo or socket, or in a folder of the system.

    Links are followed; a file that does not exist may be written.
    """
    _refuse_system_folder(path)
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):  # the check of its folder names the reason
        return
    if kind != stat.S_IFREG:
        raise FileExistsError(f"{path} is {KINDS.get(kind, 'no file')}, not a plain file: give another name.")


def check_absent(folder: str | Path) -> None:
    """Raise a `FileExistsError` if a folder to create is in a folder of the system, or something has its name."""
    check_replaceable(folder)
    if os.path.lexists(folder):
        raise FileExistsError(f"{folder} is not a folder: give another name.")


def make_folder(folder: str | Path) -> None:
    """Create a folder with its parents, if it does not exist, and check that it can be written to.

    Raises:
        OSError: If it cannot be created or written to.
    """
    _refuse_system_folder(folder)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise type(error)(
            f"The folder {folder} cannot be created ({error.strerror or error}): give another."
        ) from error
    with workshop(folder, STAGED):
        pass


def _check_folder(folder: str | Path) -> None:
    """Check that a path is an ordinary folder.

    Raises:
        FileExistsError: If it is in a folder of the system.
        FileNotFoundError: If it is not a folder.
    """
    _refuse_system_folder(folder)
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: create it first, a checkpoint with save_pretrained.")


def _refuse_system_folder(path: str | Path) -> None:
    """Raise a `FileExistsError` if a path is in a folder of the system, by its text or through links."""
    # The text counts, too: /dev/stdout is a link that can lead to a plain file, and would be replaced itself.
    absolute = Path(os.path.abspath(path))
    for place in (absolute, Path(os.path.realpath(absolute.parent), absolute.name)):
        for system in SYSTEM_FOLDERS:
            if place.is_relative_to(system) and not place.is_relative_to(SHARED_MEMORY):
                raise FileExistsError(f"{path} is in {system}, a folder of the system: give another.")


@contextmanager
def workshop(parent: str | Path, prefix: str) -> Iterator[Path]:
    """Yield an empty folder inside `parent` for files in progress, which is removed at the end.

    Folders with the same prefix that killed processes left are removed first; those of living processes are locked.

    Args:
        parent: An existing folder.
        prefix: Beginning of the name of the folder, with a dot.

    Raises:
        OSError: If `parent` cannot be written to.
    """
    parent = Path(parent)
    _remove_leftovers(parent, prefix)
    try:
        place, lock = _make_locked_folder(parent, prefix)
    except OSError as error:
        raise type(error)(
            f"{parent} cannot be written to ({error.strerror or error}): change its permissions, free disk space, or give "
            "another folder."
        ) from error
    try:
        yield place / INNER
    finally:
        lock.release()
        shutil.rmtree(place, ignore_errors=True)


def _make_locked_folder(parent: Path, prefix: str) -> tuple[Path, FileLock]:
    """Return a new folder and its lock. File systems that cannot lock get none, and their leftovers are never removed."""
    for _ in range(ATTEMPTS):
        place = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = FileLock(place / LOCK)
        try:
            lock.acquire(timeout=0)
        except (FileNotFoundError, TimeoutError):  # another process took it for a leftover before it was locked
            continue
        except (NotImplementedError, OSError):
            pass
        with suppress(FileNotFoundError):
            (place / INNER).mkdir()
            return place, lock
        lock.release()
    raise FileNotFoundError(f"no folder {prefix}* could be kept in it")


def _remove_leftovers(parent: Path, prefix: str) -> None:
    pattern = os.path.join(os.path.abspath(parent), prefix)
    if pattern in _cleaned:
        return
    _cleaned.add(pattern)
    with suppress(OSError):
        for leftover in [entry.path for entry in os.scandir(parent) if entry.name.startswith(prefix)]:
            if os.path.isdir(leftover) and not os.path.islink(leftover):
                with suppress(NotImplementedError, OSError), FileLock(os.path.join(leftover, LOCK), timeout=0):
                    shutil.rmtree(leftover, ignore_errors=True)
