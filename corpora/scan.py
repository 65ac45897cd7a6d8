"""What loaders of corpora on a user's disk share: finding them, reading their tables, and saying what is wrong with them."""

import csv
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datasets import Dataset, DatasetDict

from .schema import SPLITS

if TYPE_CHECKING:
    from .preparation.prepare import Prepared


@dataclass
class Scan:
    """What a corpus on disk holds, found while it is read.

    Args:
        root: The folder that all of it is in.
        labels: Names of the classes in their order.
        rows: To be read once, in the schema, each with its `split` where the corpus tells one. Texts are read; recordings,
            films and the fit of alignments are not looked at yet.
        problems: As `problem` gives them; complete when `rows` is read.
        sources: Files and folders that decide what is found: as long as nothing in them changes, neither does that.
    """

    root: Path
    labels: list[str]
    rows: Iterator[dict]
    problems: list[dict]
    sources: list[Path]


def find_root(name: str, root: str | Path | None, is_root: Callable[[Path], bool], holds: str) -> Path:
    """The folder of a corpus, if it is one.

    Args:
        name: What an error calls the corpus.
        root: What the user gave.
        is_root: Whether a folder holds the corpus.
        holds: What such a folder holds, for an error.

    Raises:
        FileNotFoundError: If there is no such folder.
        PermissionError: If it may not be read.
        ValueError: If `root` is None or not the corpus; where it is one level off, the error says where.
    """
    if root is None:
        raise ValueError(f"Give the folder of {name} as root (corpus_root in a recipe).")
    root = Path(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give one with {holds} as root.")
    if not os.access(root, os.R_OK | os.X_OK):
        raise PermissionError(f"{root} may not be read: ask for the permission.")
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
    """Names and paths of the files in a folder of a copy, sorted; nothing where there is no such folder.

    Hidden files are passed over: those that begin with `._` are of a Mac's file system. What lies outside the copy or may
    not be read is added to the problems.

    Args:
        root: Folder of the copy, without links.
        folder: Path of the folder from there.
        problems: To add to, see `problem`.
    """
    path = root / folder
    if not _is_inside(path, root):
        problems.append(problem("link out of the copy", f"{folder} lies outside, so it is not read.", folder))
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
            problems.append(problem("link out of the copy", f"{file} lies outside, so it is not read.", file))
        elif not os.access(entry.path, os.R_OK):
            problems.append(problem("no permission", f"{file} may not be read.", file))
        elif entry.is_file():
            yield entry.name, entry.path


def _is_inside(path: str | Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def read_csv(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file with a header, in UTF-8, one by one; a field that a row lacks at its end is empty.

    Args:
        path: The file.
        columns: Those that it must have.

    Raises:
        ValueError: When it turns out not to be such a file, to lack a column, or to have a row with more fields than the
            header.
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


def problem(
    kind: str, what: str, file: str | None = None, name: str | None = None, dropped: bool = False, known: bool = False
) -> dict[str, str | bool | None]:
    """What is wrong with a copy of a corpus.

    Args:
        kind: "missing", "unreadable", "too long", "misaligned", "duplicate", "unknown label" and so on.
        what: One sentence, which also says what became of it.
        file: Where, inside the copy.
        name: The row's id, if it is about a row that has one.
        dropped: Whether an utterance is left out for it.
        known: Whether every copy has it, which is then no reason to worry about this one.
    """
    return {"kind": kind, "id": name, "file": file, "what": what, "dropped": dropped, "known": known}


def choose(rows: Dataset, ids: Iterable[str]) -> Dataset:
    """The rows with these ids, in this order and not copied; ids that are not there are passed over."""
    places = {name: place for place, name in enumerate(rows["id"][:])}
    return rows.select([places[name] for name in ids if name in places])


def finish(name: str, prepared: "Prepared", splits: Mapping[str, Dataset]) -> DatasetDict:
    """The splits as a corpus; if anything is wrong that not every copy has, one warning counts it.

    Args:
        name: What the warning calls the corpus.
        prepared: What they are of.
        splits: Rows of each split.

    Raises:
        ValueError: If a split is empty.
    """
    worth_a_word = [found for found in prepared.problems if not found["known"]]
    for split in SPLITS:
        if not len(splits.get(split, ())):
            first = f" The first of {len(worth_a_word)} problems: {worth_a_word[0]['what']}" if worth_a_word else ""
            raise ValueError(f"{name} has no usable row for the split {split!r}.{first}")
    if worth_a_word:
        kinds = Counter(found["kind"] for found in worth_a_word)
        counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        usable = sum(map(len, prepared.splits.values()))
        where = prepared.folder / "problems.txt"
        warnings.warn(f"{name} has {usable} usable rows; problems: {counts}. {where} lists them.", stacklevel=3)
    return DatasetDict({split: splits[split] for split in SPLITS})
