"""The journal of a table in progress: finished rows, in a folder beside the table.

journal.json         what the rows depend on: the model, its dtype and the options
rows-<process>.jsonl a line for each finished part of a recording: `key`, `part` of `parts`, `rows`; only ever appended to
"""

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from ..configuration.folder_checks import check_plain, read_object
from ..configuration.plain_text import join_words
from ..corpora.atomic_write import make_folder, write_json

FORMAT = 2
SHORT = r"[\w.]{1,10}"  # values that a sentence shows: numbers and names of dtypes
HEADER, LOCK, SHARD, SHARDS = "journal.json", ".lock", "rows-{:05d}.jsonl", "rows-*.jsonl"


class Part(NamedTuple):
    """The rows of a recording, or of one of its windows.

    Attributes:
        key: The key of the recording.
        part: The number of the part, from 0.
        parts: The number of parts of the recording.
        rows: The rows.
        seconds: The seconds of audio that were scored.
        is_cut: Whether only the beginning of the recording was scored.
    """

    key: str
    part: int
    parts: int
    rows: list[dict[str, Any]]
    seconds: float = 0.0
    is_cut: bool = False

    @property
    def failed(self) -> bool:
        """Whether a row is an error."""
        return any("error" in row for row in self.rows)


class Place(NamedTuple):
    """Where a part is in the journal, and whether a row of it is an error."""

    file: Path
    offset: int
    failed: bool


class Scored(NamedTuple):
    """What the journal has of a recording.

    Attributes:
        places: The places of its parts.
        parts: The number of its parts.
        unread: The place of the last error of the whole of a recording that has several parts.
    """

    places: dict[int, Place]
    parts: int
    unread: Place | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it has all parts, some of them perhaps with errors."""
        return len(self.places) == self.parts

    @property
    def has_an_end(self) -> bool:
        """Whether it has all parts, or an error that says why not."""
        return self.is_complete or self.unread is not None

    @property
    def rows(self) -> list[Place]:
        """Return the places of its rows: its parts, and if some are missing the error of the whole."""
        parts = [self.places[number] for number in sorted(self.places)]
        return parts if self.is_complete or self.unread is None else [*parts, self.unread]

    def with_part(self, part: Part, place: Place) -> "Scored":
        """Return this with one more part. One without errors is preferred to one with errors, else the last one counts.

        A recording that cannot be read has one part, whatever it had before: its other parts are kept, in any order in
        which files of processes are read.
        """
        if part.parts != self.parts:
            if place.failed and part.parts == 1:
                return self._replace(unread=place)
            if all(known.failed for known in self.places.values()):
                unread = self.places[0] if self.parts == 1 else self.unread
                return Scored({part.part: place}, part.parts, unread)
            return self
        if not place.failed or part.part not in self.places or self.places[part.part].failed:
            self.places[part.part] = place
        return self


class Journal:
    """The journal of a table. One run at a time may use it; each process of a run writes a file of its own.

    Args:
        table: The path of the table.
    """

    def __init__(self, table: str | os.PathLike):
        self.folder = Path(f"{os.fspath(table)}.journal")
        self._stack = ExitStack()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    @property
    def exists(self) -> bool:
        """Whether an earlier run has left it."""
        return (self.folder / HEADER).exists()

    def begin(self, header: Mapping[str, Any]) -> None:
        """Lock the journal, create it, or check that it was begun with the same model and options.

        Args:
            header: What the rows depend on, as JSON.

        Raises:
            ValueError: If another run uses it, or it was begun with others.
        """
        make_folder(self.folder)
        lock = FileLock(self.folder / LOCK)
        try:
            self._stack.enter_context(lock.acquire(timeout=0))
        except Timeout as error:
            raise ValueError(f"Another run writes to {self.folder}: wait for it, or give another table.") from error
        except (NotImplementedError, OSError):  # a file system that cannot lock
            pass
        header = {"format": FORMAT, **header}
        if not self.exists:
            if any(self.folder.glob(SHARDS)):
                raise ValueError(f"{self.folder} has rows and no {HEADER}: remove that folder to begin again.")
            write_json(self.folder / HEADER, header)
            return
        known = read_object(self.folder / HEADER)
        if different := sorted(name for name in {*known, *header} if known.get(name) != header.get(name)):
            changes = [_show_change(name, known.get(name), header.get(name)) for name in different]
            raise ValueError(
                f"{self.folder} was begun with another {join_words(changes)}: give the same, or another table, or remove that "
                "folder to begin again."
            )

    def shard(self, process: int) -> "Shard":
        """Return the file of a process, to append to.

        Args:
            process: Its number.
        """
        return self._stack.enter_context(Shard(self.folder / SHARD.format(process)))

    def read(self) -> dict[str, Scored]:
        """Return what it has of each recording, by key.

        Raises:
            ValueError: If a line is damaged.
        """
        index = {}
        for file in sorted(self.folder.glob(SHARDS)):
            check_plain(file)
            for offset, part in _read_lines(file):
                known = index.get(part.key, Scored({}, part.parts))
                index[part.key] = known.with_part(part, Place(file, offset, part.failed))
        return index

    def load(self, places: Iterable[Place]) -> Iterator[Part]:
        """Yield parts of the journal.

        Args:
            places: Where they are.
        """
        files = {}
        with ExitStack() as stack:
            for place in places:
                if place.file not in files:
                    files[place.file] = stack.enter_context(open(place.file, "rb"))
                files[place.file].seek(place.offset)
                yield Part(**json.loads(files[place.file].readline()))

    def remove(self) -> None:
        """Remove the journal, once its rows are in the table."""
        self._stack.close()
        with suppress(OSError):
            shutil.rmtree(self.folder)


class Shard:
    """The rows of one process; an incomplete last line, left by a killed process, is removed first.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> "Shard":
        if os.path.lexists(self.path):
            check_plain(self.path)
        self._file = open(self.path, "a+b")
        end = self._file.tell()
        self._file.seek(0)
        whole = sum(map(len, (line for line in self._file if line.endswith(b"\n"))))
        if whole < end:
            self._file.truncate(whole)
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def add(self, part: Part) -> None:
        """Append a part. It is kept if the process is killed afterwards.

        Args:
            part: The part.
        """
        self._file.write(json.dumps(part._asdict()).encode("ascii") + b"\n")
        self._file.flush()


def _show_change(name: str, before: Any, now: Any) -> str:
    """Return the name of a field, with its values if they are short: dtype (bfloat16, now float32)."""
    shown = ["none" if value is None else str(value).lower() for value in (before, now)]
    return f"{name} ({shown[0]}, now {shown[1]})" if all(re.fullmatch(SHORT, value) for value in shown) else name


def _read_lines(file: Path) -> Iterator[tuple[int, Part]]:
    """Yield the parts in a file with the positions of their lines; an incomplete last line is skipped."""
    offset = 0
    with open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.endswith(b"\n"):
                try:
                    part = _read_part(line)
                except (RecursionError, TypeError, ValueError) as error:
                    raise ValueError(
                        f"{file}, line {number}, is damaged: remove {file.parent} to begin again."
                    ) from error
                yield offset, part
            offset += len(line)


def _read_part(line: bytes) -> Part:
    """Return the part in a line; raise a TypeError or a ValueError if there is none."""
    part = Part(**json.loads(line))
    kinds = (str, int, int, list, float, bool)
    if any(type(value) is not kind for value, kind in zip(part, kinds, strict=True)):
        raise TypeError("A field has another type.")
    cells = [cell for row in part.rows for cell in dict(row).items()]
    if not 0 <= part.part < part.parts or any(type(value) not in (str, int, float, bool) for _, value in cells):
        raise ValueError("A number or a cell is wrong.")
    return part
