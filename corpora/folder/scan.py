"""Scan a folder of your own recordings, in the Hub's AudioFolder convention with additional columns (ours).

`metadata.csv`, `metadata.jsonl` or `metadata.parquet` is in the root or in `train/`, `validation/` and `test/`. Its column
`file_name` is a path relative to it; `tables.COLUMNS` names the others, and `tables.ALIASES` other names of theirs. An empty cell, null and NaN mean unknown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from ...configuration.dimensions import DIMENSIONS, check_scale
from ..corpus_files import find_root
from ..dialogues import turn_of
from ..records import UNREAD, Scan, ScanOptions, problem
from ..schema import UNLABELLED
from .rows import FolderRow
from .tables import describe_unread, find_tables, has_tables, read_table


@dataclass(frozen=True, kw_only=True)
class FolderScanOptions(ScanOptions):
    """Options that determine a prepared folder of recordings."""

    labels: Sequence[str] | None = field(
        default=None, metadata={"help": "Names of the classes in their order; null for all labels that occur, sorted."}
    )
    dimension_scale: Sequence[float] | None = field(
        default=None,
        metadata={
            "help": "Lowest and highest value of the columns valence, arousal and dominance, such as [1, 5]; null if they are "
            "not read."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if self.dimension_scale is not None:
            check_scale(self.dimension_scale)
            object.__setattr__(self, "dimension_scale", [float(value) for value in self.dimension_scale])
        labels = self.labels
        if labels is not None:
            names = [label.strip() if isinstance(label, str) else "" for label in labels]
            if not names or "" in names or len(set(names)) < len(names):
                raise ValueError(
                    f"labels must be a list of different names in their order (in quotes), not {labels!r}."
                )
            object.__setattr__(self, "labels", names)


def scan(root: str | Path | None, options: FolderScanOptions) -> Scan:
    """Read the metadata of a folder; no recording and no video is opened.

    Rows without a recording or known split, or with a label that is none of the option `labels`, are left out. A row whose
    video, alignment, turn or rating cannot be used is kept without it, and a row without a label is kept: it can be
    transcribed and predicted. If the metadata names no split at all, rows have no key `split`.

    Args:
        root: The folder.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If there is no folder `root`.
        ValueError: If there is no metadata or it cannot be read, or a path leads out of the folder.
    """
    root = find_root("your corpus", root, has_tables, "metadata.csv, metadata.jsonl or metadata.parquet").resolve()
    total, has_splits, found, read, unread, problems = 0, False, set(), set(), {}, []
    for row in _read_rows(root, [], unread):
        row.check_paths()
        total += 1
        has_splits |= row.has_split()
        found.add(row.cells["label"])
        read |= {column for column, value in row.cells.items() if value is not None}
    labels = sorted(found - {None}) if options.labels is None else list(options.labels)
    if unread:
        table = next(iter(unread.values())).relative_to(root).as_posix()
        what = f"{table} has columns that are not read: {describe_unread(unread, read)}."
        problems.append(problem(UNREAD, what, table))
    rated = [dimension for dimension in DIMENSIONS if dimension in read]
    if rated and options.dimension_scale is None:
        what = f"Values of {', '.join(rated)} are not read: give their scale as dimension_scale, such as [1, 5]."
        problems.append(problem(UNREAD, what))
    has_labels = bool(found - {None})
    if total and not has_labels and not (rated and options.dimension_scale):
        what = "No row has a label: the corpus can be transcribed and predicted, but training needs a column 'label'."
        problems.append(problem(UNLABELLED, what, known=True))
    turns = []
    rows = _usable_rows(root, labels, options.dimension_scale, has_splits, has_labels, total, problems, turns)
    return Scan(root, labels, rows, problems, [root], turns)


def _usable_rows(
    root: Path,
    labels: Sequence[str],
    scale: Sequence[float] | None,
    has_splits: bool,
    has_labels: bool,
    total: int,
    problems: list[dict],
    turns: list[dict],
) -> Iterator[dict]:
    seen = set()
    for row in tqdm(_read_rows(root, problems), desc=f"Scanning {root.name}", total=total, disable=None):
        if reason := row.reason_to_leave_out(labels, seen, has_splits):
            row.note(*reason, dropped=True)
            if reason[0] != "duplicate":
                turns.append(turn_of(row.said()))
        else:
            seen.add(row.name)
            complete = row.complete(scale)
            if has_labels and complete["label"] is complete["vad"] is None:
                row.note(UNLABELLED, "has no label: training leaves it out.")
            yield complete | ({"split": row.split()} if has_splits else {})


def _read_rows(root: Path, problems: list[dict], unread: dict[str, Path] | None = None) -> Iterator[FolderRow]:
    for table in find_tables(root):
        for number, cells in enumerate(read_table(table, unread), 1):
            yield FolderRow(root, table, number, cells, problems)
