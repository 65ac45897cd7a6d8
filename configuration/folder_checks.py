"""Checks of the files in the folder of a model, before a library reads any of them."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .plain_text import format_size, reason_of

# What libraries read in such a folder, by the end of the name.
READ = (".json", ".jinja", ".model", ".py", ".safetensors", ".txt")
WEIGHTS = ".safetensors"
# Files that hold a JSON object. `tokenizer.json`, which may be long, is checked by the library that reads it.
OBJECTS = (
    *("config.json", "adapter_config.json", "generation_config.json", "model.safetensors.index.json"),
    *("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json"),
)
# Arguments of `from_pretrained` that locate files.
LOCATION_ARGUMENTS = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")
LARGEST = 2**28  # bytes of such a file, unless it holds weights
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a fifo",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def check_folder(source: str | os.PathLike | None, subfolder: str = "") -> None:
    """Check that what libraries read in a folder are plain files of a sensible size, and JSON objects where they must be.

    Args:
        source: The folder of a model, of adapters or of a processor. Anything else, as a Hub id, is not checked.
        subfolder: The part of the folder that is read.

    Raises:
        ValueError: If one is not.
    """
    folder = Path(source or "", subfolder or "")
    if source is None or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name in OBJECTS:
            read_object(path)
        elif path.name.endswith(READ) and not path.name.startswith("."):
            check_plain(path)


def locating(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments of `from_pretrained` that locate files."""
    return {name: arguments[name] for name in LOCATION_ARGUMENTS if arguments.get(name) is not None}


def find_file(source: str | os.PathLike, name: str, **arguments) -> str | None:
    """Return the path of a file of a checkpoint, downloaded if necessary, or None if there is no such file.

    Args:
        source: A folder or Hub id.
        name: The file name.
        **arguments: Arguments of `from_pretrained`.
    """
    from transformers.utils import cached_file  # slow, and not needed for a `--help`

    try:
        return cached_file(source, name, **locating(arguments))
    except OSError:
        return None


def check_plain(path: str | os.PathLike) -> None:
    """Check that a file is a plain one, or a link to one, and of a sensible size.

    Args:
        path: The file.

    Raises:
        ValueError: If it is not.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        what = "is a link to a file that does not exist" if os.path.lexists(path) else "does not exist"
        raise ValueError(f"{path} {what}; restore it.") from error
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise ValueError(f"{path} is {KINDS.get(kind, 'no file')}, not a plain file; restore it.")
    is_text = os.fspath(path).endswith(READ) and not os.fspath(path).endswith(WEIGHTS)
    if is_text and status.st_size > LARGEST:
        raise ValueError(f"{path} has {format_size(status.st_size)}, more than such a file needs; restore it.")


def read_object(path: str | os.PathLike) -> dict:
    """Return the object in a JSON file.

    Args:
        path: The file.

    Raises:
        ValueError: If it is no plain file, or holds none.
    """
    check_plain(path)
    try:
        value = json.loads(Path(path).read_bytes().decode("utf-8"))
    except (RecursionError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({reason_of(error)}); restore it.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object; restore it.")
    return value
