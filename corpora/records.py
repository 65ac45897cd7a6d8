"""Records that are shared by the steps of reading a corpus: options, scans, problems and prepared corpora."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .options import check_types

if TYPE_CHECKING:
    from datasets import DatasetDict

SHORTEST = 0.1  # seconds of `max_seconds`
UNREAD = "table with unread columns"  # the kind of problem whose sentence users see wherever problems are only counted


@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """Options that determine the prepared folder of a corpus on disk. A corpus adds its own in a subclass."""

    max_seconds: float | None = field(
        default=60.0, metadata={"help": "Recordings and videos are cut after this many seconds; null means no limit."}
    )

    def __post_init__(self):
        check_types(self)
        if self.max_seconds is not None and self.max_seconds < SHORTEST:
            raise ValueError(
                f"max_seconds must be at least {SHORTEST:g}, or None for no limit, not {self.max_seconds!r}."
            )


@dataclass
class Scan:
    """The content of a corpus on disk, found while `rows` is read.

    Args:
        root: The folder that holds all files of the corpus.
        labels: Names of the classes in their order.
        rows: Rows in the schema, to be read once, each with its `split` if the corpus has official splits. Texts are
            read; recordings, videos and the length of alignments are not checked yet.
        problems: Problems as `problem` returns them; complete when `rows` has been read.
        sources: Files and folders that determine the result: a new scan gives the same result until one of them changes.
        turns: Turns of dialogues that give no row, as `dialogues.turn_of` returns them, for the context of the rows after
            them; complete when `rows` has been read.
    """

    root: Path
    labels: list[str]
    rows: Iterator[dict]
    problems: list[dict]
    sources: list[Path]
    turns: list[dict] = field(default_factory=list)


@dataclass
class Prepared:
    """A prepared corpus.

    Args:
        folder: The prepared folder.
        splits: The rows, memory-mapped; all in "train" where the corpus has no official splits.
        problems: Problems of the corpus, as `problem` returns them.
        metadata: The content of `preparation.json`: `corpus`, `options`, `root`, `decoded`, `embedded`, `rows`, and
            `counts`, the rows per group (a split or session) and label.
    """

    folder: Path
    splits: "DatasetDict"
    problems: list[dict]
    metadata: dict


def problem(
    kind: str, what: str, file: str | None = None, name: str | None = None, dropped: bool = False, known: bool = False
) -> dict[str, str | bool | None]:
    """Return the record of a problem with a copy of a corpus. Bytes of file names that are not UTF-8 become question marks.

    Args:
        kind: "missing", "unreadable", "too long", "misaligned", "duplicate", "unknown label" and so on.
        what: One sentence that names the problem and its consequence.
        file: The file inside the copy.
        name: The id of the row, if the problem concerns one row.
        dropped: Whether an utterance is left out because of it.
        known: Whether every copy has this problem, so that it does not indicate damage to this one.
    """
    what, file, name = (text and text.encode(errors="replace").decode() for text in (what, file, name))
    return {"kind": kind, "id": name, "file": file, "what": what, "dropped": dropped, "known": known}


def name_unread(problems: Iterable[dict]) -> str:
    """Return the sentences on columns of the metadata that are not read, each after a blank."""
    return "".join(f" {found['what']}" for found in problems if found["kind"] == UNREAD)
