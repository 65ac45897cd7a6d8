"""Open a prepared folder; `writing.py` describes its files."""

import json
from pathlib import Path

import pyarrow
from datasets import Dataset, DatasetDict, concatenate_datasets

from ..records import Prepared
from ..transcripts.files import add_transcripts
from .writing import FORMAT, METADATA, PROBLEMS


def open_prepared(folder: str | Path) -> Prepared:
    """Open a prepared folder.

    Raises:
        FileNotFoundError: If it is not a prepared folder.
        ValueError: If it is damaged, or was made by a version of emofusion with another format.
    """
    folder = Path(folder)
    if not (folder / METADATA).is_file():
        raise FileNotFoundError(
            f"{folder} is not a prepared corpus: it has no {METADATA}. Make one with `emofusion prepare`."
        )
    try:
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        if metadata["format"] != FORMAT:
            raise ValueError(f"its format is {metadata['format']!r}, not {FORMAT}")
        splits = {split: _open_split(folder / "data", split, count) for split, count in metadata["splits"].items()}
        problems = json.loads((folder / PROBLEMS).read_text("utf-8"))
    except (KeyError, OSError, ValueError, pyarrow.ArrowException) as error:
        raise ValueError(f"{folder} cannot be read ({error}): prepare the corpus again.") from error
    return Prepared(folder, add_transcripts(DatasetDict(splits), folder), problems, metadata)


def _open_split(folder: Path, split: str, count: int) -> Dataset:
    shards = sorted(folder.glob(f"{split}-*-of-*.arrow"))
    if not shards:
        raise ValueError(f"it has no {split}")
    rows = concatenate_datasets([Dataset.from_file(str(shard)) for shard in shards])
    if len(rows) != count:
        raise ValueError(f"its {split} has {len(rows)} rows, not {count}")
    return rows
