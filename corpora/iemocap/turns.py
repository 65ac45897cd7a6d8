"""Turns of IEMOCAP, parsed from their names and from the text files of a dialogue."""

import re
from pathlib import Path
from typing import NamedTuple

from ...configuration.dimensions import DIMENSIONS
from ..schema import read_gender

# Session and the actor who wears the markers; the dialogue; the speaker and the number of the turn, which begins with XX
# if the turn has no recording.
NAME = re.compile(
    r"(?P<session>Ses0[1-5])(?P<marked>[FM])_\w+_(?P<speaker>[FM])(?P<unnumbered>XX)?[0-9A-Za-z]+", re.ASCII
)
TRANSCRIPT = re.compile(r"(\w+) \[[\d.]+-[\d.]+\]:(.*)", re.ASCII)


class Turn(NamedTuple):
    """A turn of a dialogue.

    Args:
        name: Name such as `Ses01F_impro01_M003`.
        start: Start in seconds of the dialogue.
        end: End in seconds of the dialogue.
        code: The majority emotion, three letters.
        vad: Valence, arousal and dominance from 1 to 5, means over the raters; None without ratings.
        votes: The codes that each rater chose, one or more. Ratings of the actors themselves are not included.
    """

    name: str
    start: float
    end: float
    code: str
    vad: dict[str, float | None] | None
    votes: list[list[str]]

    @property
    def session(self) -> str:
        """The session, such as `Ses01`."""
        return NAME.fullmatch(self.name)["session"]

    @property
    def dialogue(self) -> str:
        """The dialogue: the name without its last field."""
        return self.name.rpartition("_")[0]

    @property
    def speaker(self) -> str:
        """Session and letter of the last field; the letter in the first field is the actor who wears the markers."""
        return self.session + NAME.fullmatch(self.name)["speaker"]

    @property
    def gender(self) -> str:
        """The gender of the speaker, by the letter of the last field."""
        return read_gender(NAME.fullmatch(self.name)["speaker"])

    @property
    def is_marked(self) -> bool:
        """Whether the speaker is the actor who wears the markers."""
        parts = NAME.fullmatch(self.name)
        return parts["speaker"] == parts["marked"]

    @property
    def is_numbered(self) -> bool:
        """Whether the turn has a number, and therefore a recording."""
        return NAME.fullmatch(self.name)["unnumbered"] is None

    @property
    def is_scripted(self) -> bool:
        """Whether the dialogue was read from a script and not improvised."""
        return self.dialogue.split("_")[1].startswith("script")


def read_evaluation(path: str | Path) -> tuple[list[Turn], list[int]]:
    """Read the `EmoEvaluation` file of a dialogue.

    Returns:
        Its turns in the order of time, and the numbers of the lines that begin like a turn but cannot be parsed.
    """
    turns, broken, votes = [], [], []
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith("["):
            votes = []
            try:
                turns.append(_turn(line, votes))
            except ValueError:
                broken.append(number)
        elif line.startswith("C-E"):
            labels = line.partition("\t")[2].partition("\t")[0].split(";")
            votes.append([label.strip()[:3].lower() for label in labels if label.strip()])
    return sorted(turns, key=lambda turn: (turn.start, turn.name)), broken


def read_transcriptions(path: str | Path) -> dict[str, str]:
    """Read the `transcriptions` file of a dialogue: the text by the name of the turn."""
    lines = map(TRANSCRIPT.fullmatch, _lines(path))
    return {line[1]: line[2].strip() for line in lines if line}


def _lines(path: str | Path) -> list[str]:
    return Path(path).read_text("latin-1").split("\n")  # splitlines also splits at byte 0x85


def _turn(line: str, votes: list[list[str]]) -> Turn:
    span, name, code, *rating = (field.strip() for field in line.split("\t"))
    start, end = (float(second) for second in span.strip("[]").split(" - "))
    if not 0 <= start < end < float("inf") or not NAME.fullmatch(name):
        raise ValueError
    return Turn(name, start, end, code, _vad(rating[0] if rating else ""), votes)


def _vad(rating: str) -> dict[str, float | None] | None:
    values = dict.fromkeys(DIMENSIONS)
    for dimension, value in zip(DIMENSIONS, rating.strip("[]").split(","), strict=False):
        try:
            values[dimension] = float(value) if float(value) >= 1 else None  # the scale begins at 1: 0 is no rating
        except ValueError:
            continue
    return values if any(values.values()) else None
