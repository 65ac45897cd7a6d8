"""What loaders of corpora on a user's disk share: finding them, reading their tables, and saying what is wrong with them."""

import csv
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets import Dataset, DatasetDict

from ..processing.media import open_container, open_file
from .schema import SPLITS, features


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
        ValueError: If `root` is None or not the corpus; where it is one level off, the error says where.
    """
    if root is None:
        raise ValueError(f"Give the folder of {name} as root (corpus_root in a recipe).")
    root = Path(root).absolute()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder; give one with {holds} as root.")
    if is_root(root):
        return root
    if is_root(root.parent):
        raise ValueError(f"{root} is one level too deep: give {root.parent} as root.")
    for inner in sorted(root.iterdir()):
        if inner.is_dir() and is_root(inner):
            raise ValueError(f"{root} is one level too high: give {inner} as root.")
    raise ValueError(f"{root} is not the root of {name}: it has no {holds}.")


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, in UTF-8; a field that a row lacks at its end is empty.

    Args:
        path: The file.
        columns: Those that it must have.

    Raises:
        ValueError: If it is not such a file, lacks a column, or a row has more fields than the header.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            header, rows = reader.fieldnames or [], list(reader)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 (byte {error.start}): save it in that encoding.") from error
    except csv.Error as error:
        raise ValueError(f"{path} is not a CSV file: {error}.") from error
    if missing := [column for column in columns if column not in header]:
        raise ValueError(f"{path} has no column {missing[0]!r}; it has {', '.join(header) or 'none'}.")
    for number, row in enumerate(rows, 1):
        if None in row:
            raise ValueError(
                f"{path}, row {number}, has more fields than the header: quote a text that holds a comma."
            )
    return rows


def measure(path: Path, kind: str = "audio") -> float | None:
    """How many seconds a recording (or, of kind "video", a film) lasts, as its header says; nothing is decoded.

    Returns:
        Seconds; None where the header does not say.

    Raises:
        ValueError: If the file cannot be read, is empty, or holds nothing of this kind.
    """
    import soundfile

    try:
        file, name = open_file(path, str(path))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or 'it does not exist'}.") from error
    with file:
        if kind == "audio":
            try:
                with soundfile.SoundFile(file) as sound:
                    seconds = sound.frames / sound.samplerate
            except soundfile.LibsndfileError:
                file.seek(0)
            else:
                return _positive(seconds, name)
        with open_container(file, name) as container:
            streams = getattr(container.streams, kind)
            if not streams:
                raise ValueError(f"{name} has no {kind} stream.")
            if streams[0].duration is None:
                return None if container.duration is None else _positive(container.duration / 1e6, name)
            return _positive(float(streams[0].duration * streams[0].time_base), name)


def _positive(seconds: float, name: str) -> float:
    if seconds <= 0:
        raise ValueError(f"{name} lasts {seconds:.3f} s: there is nothing in it.")
    return seconds


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


def build_corpus(
    name: str, rows: Sequence[Mapping], labels: Sequence[str], problems: Sequence[Mapping], where: str
) -> DatasetDict:
    """The rows that were scanned, as a dataset; if there were problems, one warning counts them.

    Args:
        name: What the warning calls the corpus.
        rows: In the schema, each with its `split`; a column that is None may be left out.
        labels: Names of the classes, in their order.
        problems: As `problem` gives them.
        where: How to see them all, for the warning.

    Raises:
        ValueError: If a split is empty.
    """
    counts = ", ".join(f"{count} {kind}" for kind, count in Counter(item["kind"] for item in problems).items())
    for split in SPLITS:
        if not any(row["split"] == split for row in rows):
            first = f" The first of {len(problems)} problems: {problems[0]['what']}" if problems else ""
            raise ValueError(f"{name} has no usable row for the split {split!r}.{first}")
    if problems:
        warnings.warn(f"{name} has {len(rows)} usable rows; problems: {counts}. {where} lists them.", stacklevel=3)
    schema, corpus = features(labels), {}
    for split in SPLITS:
        chosen = [row for row in rows if row["split"] == split]
        columns = {column: [row.get(column) for row in chosen] for column in schema}
        corpus[split] = Dataset.from_dict(columns, features=schema)
    return DatasetDict(corpus)
