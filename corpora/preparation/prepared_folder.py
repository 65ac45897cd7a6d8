"""Open a prepared folder; `writing.py` describes its files."""

import json
from pathlib import Path
from typing import Any

import pyarrow
from datasets import Dataset, DatasetDict, concatenate_datasets

from ...configuration.folder_checks import check_plain
from ..dialogues import TURN
from ..records import Prepared, problem
from ..schema import SPLITS
from ..transcripts.files import add_transcripts
from .writing import FORMAT, METADATA, PROBLEMS, TURNS


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
        for path in (folder / METADATA, folder / PROBLEMS, *(folder / "data").glob("*.arrow")):
            check_plain(path)
        metadata = json.loads((folder / METADATA).read_text("utf-8"))
        problems = json.loads((folder / PROBLEMS).read_text("utf-8"))
        _check(metadata, problems)
        splits = {split: _open_split(folder / "data", split, count) for split, count in metadata["splits"].items()}
    except (OSError, ValueError, RecursionError, pyarrow.ArrowException) as error:
        raise ValueError(f"{folder} cannot be read ({error}): prepare the corpus again.") from error
    return Prepared(folder, add_transcripts(DatasetDict(splits), folder), problems, metadata)


def read_turns(folder: str | Path) -> list[dict[str, Any]]:
    """Return the turns of a prepared corpus that give no row, with the keys `TURN`.

    Raises:
        ValueError: If the file is missing, as in a folder of an older version, or damaged.
    """
    path = Path(folder, TURNS)
    if not path.is_file():
        raise ValueError(f"{folder} has no {TURNS}, which context_turns needs: prepare the corpus again.")
    try:
        check_plain(path)
        turns = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}): prepare the corpus again.") from error
    kinds = {name: (int if name == "turn" else str, type(None)) for name in TURN}
    if not isinstance(turns, list) or not all(
        isinstance(turn, dict)
        and set(turn) == set(TURN)
        and all(isinstance(turn[name], kind) for name, kind in kinds.items())
        for turn in turns
    ):
        raise ValueError(f"{path} is not a list of turns: prepare the corpus again.")
    return turns


def _check(metadata: Any, problems: Any) -> None:
    """Raise a `ValueError` if the content of `preparation.json` or `problems.json` has another form."""
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        number = metadata.get("format") if isinstance(metadata, dict) else None
        raise ValueError(f"its format is {number!r}, not {FORMAT}")
    kinds = {"corpus": str, "options": dict, "splits": dict, "counts": dict, "rows": int, "decoded": bool}
    wrong = [name for name, kind in kinds.items() if not isinstance(metadata.get(name), kind)]
    if wrong or not set(metadata["splits"]) <= set(SPLITS):
        raise ValueError(f"{METADATA} has no valid {wrong[0] if wrong else 'splits'}")
    keys = set(problem("", ""))
    if not isinstance(problems, list) or not all(isinstance(found, dict) and keys <= set(found) for found in problems):
        raise ValueError(f"{PROBLEMS} is not a list of problems")


def _open_split(folder: Path, split: str, count: int) -> Dataset:
    shards = sorted(folder.glob(f"{split}-*-of-*.arrow"))
    if not shards:
        raise ValueError(f"it has no {split}")
    rows = concatenate_datasets([Dataset.from_file(str(shard)) for shard in shards])
    if len(rows) != count:
        raise ValueError(f"its {split} has {len(rows)} rows, not {count}")
    return rows
