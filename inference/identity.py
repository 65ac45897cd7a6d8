"""What tells a model, with all that it is loaded with, from others."""

import hashlib
import os
from pathlib import Path
from typing import Any

from ..configuration.folder_checks import READ, find_file
from .model_names import ADAPTER_CONFIG, CONFIG
from .scoring_options import hash_files

# Files in the folder of a model that change no score.
OF_RUNS = ("results.json", "splits.json")
MEMBERS = "member_*"  # folders of the processors of members of a late fusion


def identify_model(folder: str, recognise: Any) -> str:
    """Return what tells a model from others: a hash of the files of a folder, or name and commit on the Hub.

    The hash of adapters includes their base model.

    Args:
        folder: The folder of the model, or its name on the Hub.
        recognise: Its pipeline.
    """
    config = recognise.model.config
    if not os.path.isdir(folder):
        return _name_commit(folder, config)
    own = _hash_folder(folder)
    if not Path(folder, ADAPTER_CONFIG).is_file():
        return own
    base = config.name_or_path
    base = _hash_folder(base) if os.path.isdir(base) else _name_commit(base, config)
    return _name_hash(hashlib.sha256(f"{own} {base}".encode()).hexdigest())


def identify_transcriber(source: str) -> str:
    """Return what tells a speech recogniser from others, as `identify_model` does; it may not be loaded yet.

    Args:
        source: Its folder, or its name on the Hub.
    """
    if os.path.isdir(source):
        return _hash_folder(source)
    file = find_file(source, CONFIG)  # in a folder with the name of the commit
    return source if file is None else f"{source}@{Path(file).parent.name}"


def _name_commit(name: str, config: Any) -> str:
    return f"{name}@{getattr(config, '_commit_hash', None)}"


def _hash_folder(folder: str) -> str:
    folders = [Path(folder), *sorted(path for path in Path(folder).glob(MEMBERS) if path.is_dir())]
    files = [file for one in folders for file in sorted(one.iterdir())]
    return _name_hash(hash_files(filter(_matters, files)))


def _name_hash(digest: str) -> str:
    return f"sha256:{digest}"


def _matters(file: Path) -> bool:
    return file.name.endswith(READ) and file.suffix != ".py" and file.name not in OF_RUNS and file.is_file()
