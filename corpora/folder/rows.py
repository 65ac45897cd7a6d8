"""A row of the metadata of a folder of recordings, and its conversion to the schema."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...configuration.dimensions import DIMENSIONS
from ..alignment import SPHINX_SUFFIXES, add_syllables, read_sphinx
from ..corpus_files import inner_path
from ..ratings import read_rating
from ..records import problem
from ..schema import read_gender
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
        self.relative_table, self.number = table.relative_to(root), f"row {number}"
        self.place = f"{self.relative_table}, {self.number}"
        self.cells = cells
        self.name = self.file("file_name")

    def note(self, kind: str, what: str, dropped: bool = False) -> None:
        """Add a problem."""
        file = self.relative_table.as_posix()
        self.problems.append(problem(kind, f"{self.place}, {what}", file, self.name, dropped))

    def check_paths(self) -> None:
        """Raise a `ValueError` if a path leads out of the folder."""
        for column in ("video_file_name", "alignment_file_name"):
            self.file(column)

    def file(self, column: str) -> str | None:
        """Return the path in a cell, relative to the root; None if the cell is empty.

        Raises:
            ValueError: If it leads out of the folder, see `inner_path`.
        """
        if (name := self.cells[column]) is None:
            return None
        path = inner_path(self.relative_table.parent.as_posix(), name)
        if path is None:
            raise ValueError(
                f"{self.table}, {self.number}: the {column} {name!r} leads out of the folder; give a "
                "path from the folder of the metadata, and copy or link the file into it."
            )
        return path

    def reason_to_leave_out(self, labels: Sequence[str], seen: set[str], has_splits: bool) -> tuple[str, str] | None:
        """Return the kind of problem and the reason if the row cannot be used, else None."""
        label, split = self.cells["label"], self.cells["split"]
        if self.name is None:
            return "missing", "is dropped: its file_name is empty."
        if self.name in seen:
            return "duplicate", f"is dropped: {self.name} occurs in an earlier row."
        if label is not None and label not in labels:
            return "unknown label", f"is dropped: its label {label!r} is none of {', '.join(labels)}."
        if has_splits and self.split() is None:
            why = "is unknown" if split is None else f"{split!r} is none of {', '.join(SPLIT_NAMES)}"
            return "unknown split", f"is dropped: its split {why}."
        path = self.root / self.name
        if not os.path.isfile(path):
            return "missing", f"is dropped: {_reason_missing(path, self.name)}"
        if not os.access(path, os.R_OK):
            return "no permission", f"is dropped: {self.name} may not be read."
        return None

    def complete(self, scale: Sequence[float] | None) -> dict:
        """Return the row in the schema, without its split.

        Args:
            scale: Lowest and highest value of its valence, arousal and dominance; None if they are not read.
        """
        texts = {column: self.cells[column] for column in ("text", "label", "speaker", "session", "dialogue")}
        return texts | {
            "id": self.name,
            "audio": {"path": str(self.root / self.name)},
            "gender": self._gender(),
            "turn": self._turn(),
            "video": self._video(),
            "alignment": self._alignment(),
            "vad": None if scale is None else self._ratings(scale),
        }

    def said(self) -> dict[str, str | int | None]:
        """Return dialogue, turn, speaker and text of the row; nothing is noted."""
        number = self.cells["turn"] if _is_turn(self.cells["turn"]) else None
        texts = {name: self.cells[name] for name in ("dialogue", "speaker", "text")}
        return texts | {"turn": None if number is None else int(number)}

    def has_split(self) -> bool:
        """Return whether the metadata names a split for the row, known or not."""
        return self.cells["split"] is not None or self.split() is not None

    def split(self) -> str | None:
        """Return the split by the column `split`, else by the folder; None if unknown."""
        if split := self.cells["split"]:
            return SPLIT_NAMES.get(split.lower())
        if self.table.parent == self.root:
            return self.name and SPLIT_NAMES.get(self.name.partition("/")[0])
        return SPLIT_NAMES.get(self.relative_table.parts[0])

    def _gender(self) -> str | None:
        cell = self.cells["gender"]
        gender = read_gender(cell)
        if cell is not None and gender is None:
            self.note("unknown gender", f"is kept without gender: {cell!r} is neither female nor male.")
        return gender

    def _ratings(self, scale: Sequence[float]) -> dict[str, float | None] | None:
        values = dict.fromkeys(DIMENSIONS)
        for dimension in DIMENSIONS:
            try:
                values[dimension] = read_rating(self.cells[dimension], scale)
            except ValueError as error:
                self.note("unreadable", f"is kept without {dimension}: {error}.")
        return values if any(value is not None for value in values.values()) else None

    def _turn(self) -> int | None:
        turn = self.cells["turn"]
        if turn is not None and not _is_turn(turn):
            self.note("unreadable", f"is kept without turn: {turn!r} is not a whole number from 0.")
            return None
        return None if turn is None else int(turn)

    def _video(self) -> dict | None:
        if (name := self.file("video_file_name")) is None:
            return None
        path = self.root / name
        if not os.path.isfile(path):
            self.note("missing", f"is kept without video: {_reason_missing(path, name)}")
            return None
        return {"path": str(path)}

    def _alignment(self) -> dict | None:
        if (name := self.file("alignment_file_name")) is None:
            return None
        path = self.root / name
        try:
            if not os.path.isfile(path):
                raise FileNotFoundError(_reason_missing(path, name))
            levels = read_textgrid(path) if path.suffix.lower() == ".textgrid" else self._sphinx(path)
        except OSError as error:
            self.note("missing", f"is kept without alignment: {error.strerror or error}")
            return None
        except ValueError as error:
            self.note("unreadable", f"is kept without alignment: {error}")
            return None
        return add_syllables(levels)

    def _sphinx(self, path: Path) -> dict:
        """Read the segments of a Sphinx file and of the files beside it with the other levels."""
        if path.suffix not in SPHINX_SUFFIXES.values():
            raise ValueError(f"{path} is neither a TextGrid nor one of {', '.join(SPHINX_SUFFIXES.values())}.")
        files = {level: path.with_suffix(suffix) for level, suffix in SPHINX_SUFFIXES.items()}
        return {level: read_sphinx(file) if file.is_file() else None for level, file in files.items()}


def _is_turn(cell: str | None) -> bool:
    return cell is not None and cell.isascii() and cell.isdigit() and len(cell) < 10


def _reason_missing(path: Path, name: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return f"{name} is a link to a file that does not exist."
    return f"{name} is no file." if os.path.exists(path) else f"there is no file {name}."
