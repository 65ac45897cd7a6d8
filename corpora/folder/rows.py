"""A row of the metadata of a folder of recordings, and its conversion to the schema."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..alignment import SPHINX_SUFFIXES, read_sphinx, syllables_from_phones
from ..records import problem
from ..schema import LEVELS
from ..textgrid import read_textgrid
from .tables import SPLIT_NAMES


class FolderRow:
    """A row of the metadata.

    Args:
        root: The folder of recordings, with links resolved.
        table: The metadata file.
        number: Number of the row in it, from 1.
        cells: The values of all columns; None where unknown.
        problems: List to extend with the problems of the row.
    """

    def __init__(self, root: Path, table: Path, number: int, cells: Mapping[str, str | None], problems: list[dict]):
        self.root, self.table, self.problems = root, table, problems
        self.place = f"{table.relative_to(root)}, row {number}"
        self.cells = cells
        self.path = self.file("file_name")
        self.name = None if self.path is None else self.path.relative_to(root).as_posix()

    def note(self, kind: str, what: str, dropped: bool = False) -> None:
        """Add a problem."""
        file = self.table.relative_to(self.root).as_posix()
        self.problems.append(problem(kind, f"{self.place}, {what}", file, self.name, dropped))

    def check_paths(self) -> None:
        """Raise a `ValueError` if a path leads out of the folder."""
        for column in ("video_file_name", "alignment_file_name"):
            self.file(column)

    def file(self, column: str, suffix: str | None = None) -> Path | None:
        """Return the file that a cell names, or the file beside it with another suffix; None if the cell is empty.

        Raises:
            ValueError: If it is outside the folder.
        """
        if (name := self.cells[column]) is None:
            return None
        try:
            path = Path(name) if suffix is None else Path(name).with_suffix(suffix)
            target = (self.table.parent / path).resolve()
        except (OSError, RuntimeError, ValueError):  # a null byte, or links in a circle
            target = None
        if target is None or path.is_absolute() or not target.is_relative_to(self.root) or target == self.root:
            raise ValueError(
                f"{self.table}, {self.place.rpartition(', ')[2]}: the {column} {name!r} leads out of the folder; copy the "
                "file into it and give its path from there."
            )
        return target

    def reason_to_leave_out(self, labels: Sequence[str], seen: set[str], has_splits: bool) -> tuple[str, str] | None:
        """Return the kind of problem and the reason if the row cannot be used, else None."""
        label, split = self.cells["label"], self.cells["split"]
        if self.name is None:
            return "missing", "is dropped: its file_name is empty."
        if self.name in seen:
            return "duplicate", f"is dropped: {self.name} occurs in an earlier row."
        if label is None:
            return "unknown label", "is dropped: it has no label."
        if label not in labels:
            return "unknown label", f"is dropped: its label {label!r} is none of {', '.join(labels)}."
        if has_splits and self.split() is None:
            why = "is unknown" if split is None else f"{split!r} is none of {', '.join(SPLIT_NAMES)}"
            return "unknown split", f"is dropped: its split {why}."
        if not os.path.isfile(self.path):
            return "missing", f"is dropped: there is no file {self.name}."
        if not os.access(self.path, os.R_OK):
            return "no permission", f"is dropped: {self.name} may not be read."
        return None

    def complete(self) -> dict:
        """Return the row in the schema, without its split."""
        texts = {column: self.cells[column] for column in ("text", "label", "speaker", "session", "dialogue")}
        return texts | {
            "id": self.name,
            "audio": {"path": str(self.path)},
            "turn": self._turn(),
            "video": self._video(),
            "alignment": self._alignment(),
        }

    def has_split(self) -> bool:
        """Return whether the metadata names a split for the row, known or not."""
        return self.cells["split"] is not None or self.split() is not None

    def split(self) -> str | None:
        """Return the split by the column `split`, else by the folder; None if unknown."""
        if split := self.cells["split"]:
            return SPLIT_NAMES.get(split.lower())
        path = self.path if self.table.parent == self.root else self.table
        return path and SPLIT_NAMES.get(path.relative_to(self.root).parts[0])

    def _turn(self) -> int | None:
        turn = self.cells["turn"]
        if turn is not None and not (turn.isascii() and turn.isdigit() and len(turn) < 10):
            self.note("unreadable", f"is kept without turn: {turn!r} is not a whole number from 0.")
            return None
        return None if turn is None else int(turn)

    def _video(self) -> dict | None:
        if (path := self.file("video_file_name")) is None:
            return None
        if not os.path.isfile(path):
            self.note("missing", f"is kept without video: there is no file {path}.")
            return None
        return {"path": str(path)}

    def _alignment(self) -> dict | None:
        if (path := self.file("alignment_file_name")) is None:
            return None
        try:
            levels = read_textgrid(path) if path.suffix.lower() == ".textgrid" else self._sphinx(path)
        except OSError as error:
            self.note("missing", f"is kept without alignment: {path} cannot be read, {error.strerror}.")
            return None
        except ValueError as error:
            self.note("unreadable", f"is kept without alignment: {error}")
            return None
        if levels["word"] and levels["phone"] and not levels["syllable"]:
            levels["syllable"] = syllables_from_phones(levels["phone"], levels["word"])
        return levels

    def _sphinx(self, path: Path) -> dict:
        """Read the segments of a Sphinx file and of the files beside it with the other levels."""
        if path.suffix not in SPHINX_SUFFIXES.values():
            raise ValueError(f"{path} is neither a TextGrid nor one of {', '.join(SPHINX_SUFFIXES.values())}.")
        files = {level: self.file("alignment_file_name", SPHINX_SUFFIXES[level]) for level in LEVELS}
        return {level: read_sphinx(file) if file == path or file.exists() else None for level, file in files.items()}
