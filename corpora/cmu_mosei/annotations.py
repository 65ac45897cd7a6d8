"""Annotations of CMU-MOSEI: sentiment from -3 to 3 and six emotions from 0 to 3 for each segment of a video.

They are read from `CMU_MOSEI_Labels.csv`, the means of the SDK's label sequence, or else from `Labels/*.csv`, the answers of
each rater, whose means are taken.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ..corpus_files import read_csv
from ..ratings import read_rating
from ..records import problem

TABLE = "CMU_MOSEI_Labels.csv"
SENTIMENT, INTENSITY = (-3.0, 3.0), (0.0, 3.0)  # scales
# Emotion -> column of `TABLE`, in the SDK's order, and column of the raters' answers.
EMOTIONS = {
    "happiness": ("happy", "Answer.happiness"),
    "sadness": ("sad", "Answer.sadness"),
    "anger": ("anger", "Answer.anger"),
    "surprise": ("surprise", "Answer.surprise"),
    "disgust": ("disgust", "Answer.disgust"),
    "fear": ("fear", "Answer.fear"),
}
COLUMNS = ("file", "start", "end", "sentiment", *(column for column, _ in EMOTIONS.values()))
ANSWERS = ("Answer.sentiment", *(column for _, column in EMOTIONS.values()))
SEGMENT = ("Input.VIDEO_ID", "Input.CLIP")
TOLERANCE = 0.05  # seconds between the times of `TABLE` and of the transcripts


class Annotation(NamedTuple):
    """The annotation of a segment.

    Args:
        sentiment: Mean sentiment, from -3 to 3.
        emotions: Mean intensity of each of `EMOTIONS`, from 0 to 3.
        votes: Sentiment of each rater; empty if only means are known.
    """

    sentiment: float
    emotions: tuple[float, ...]
    votes: tuple[float, ...] = ()


class Annotations:
    """The annotations of all segments.

    Args:
        by_number: Annotation by video and number of the segment.
        by_time: Start, end (seconds) and annotation of the segments, by video.
    """

    def __init__(
        self,
        by_number: Mapping[tuple[str, int], Annotation] | None = None,
        by_time: Mapping[str, list[tuple[float, float, Annotation]]] | None = None,
    ):
        self._by_number, self._by_time = by_number or {}, by_time or {}

    def find(self, video: str, number: int, start: float, end: float) -> Annotation | None:
        """Return the annotation of a segment, None if it has none."""
        near = (
            annotation
            for first, last, annotation in self._by_time.get(video, ())
            if abs(first - start) <= TOLERANCE and abs(last - end) <= TOLERANCE
        )
        return self._by_number.get((video, number)) or next(near, None)


def read_table(path: Path) -> Annotations:
    """Read `CMU_MOSEI_Labels.csv`: `file` (the video), `start`, `end` (seconds), `sentiment` and a column for each emotion.

    Raises:
        ValueError: If it cannot be read, or a value is no number on its scale.
    """
    found = defaultdict(list)
    for number, cells in enumerate(read_csv(path, COLUMNS), 1):
        try:
            start, end = float(cells["start"]), float(cells["end"])
            values = _numbers(cells[column] for column in COLUMNS[3:])
        except ValueError as error:
            raise ValueError(f"{path}, row {number}, cannot be read: {error}; export the table again.") from error
        found[cells["file"].strip()].append((start, end, Annotation(values[0], tuple(values[1:]))))
    return Annotations(by_time=found)


def read_answers(paths: Iterable[Path], problems: list[dict]) -> Annotations:
    """Read the raters' answers; those with a missing or invalid value are left out.

    Args:
        paths: CSV files with the columns `SEGMENT` and `ANSWERS`; others are added to the problems.
        problems: List to extend, see `problem`.

    Raises:
        ValueError: If no file has these columns.
    """
    answers, files = defaultdict(list), []
    for path in paths:
        files.append(path)
        file = f"{path.parent.name}/{path.name}"
        try:
            for number, cells in enumerate(read_csv(path, SEGMENT + ANSWERS, errors="replace"), 1):
                try:
                    # Some ids follow the name of a folder, and some tables write whole numbers as 3.0.
                    key = cells[SEGMENT[0]].strip().rpartition("/")[2], int(float(cells[SEGMENT[1]]))
                    values = _numbers(cells[column] for column in ANSWERS)
                    answers[key].append(values)
                except (ValueError, OverflowError) as error:
                    what = f"{file}, row {number}, is no answer: {error}."
                    problems.append(problem("incomplete answer", what, file, known=True))
        except ValueError as error:
            problems.append(problem("unread table", f"{file} is not read: {error}", file))
    if not answers:
        names = ", ".join(path.name for path in files) or "no CSV file"
        raise ValueError(
            f"CMU-MOSEI has no annotations: there is no {TABLE}, and Labels has no answers of raters ({names}); see "
            "docs/corpora.md."
        )
    return Annotations(by_number={key: _mean(rows) for key, rows in answers.items()})


def _numbers(cells: Iterable[str]) -> list[float]:
    """Return a sentiment and the intensities of the emotions from the cells of a table."""
    values = [read_rating(cell, INTENSITY if place else SENTIMENT) for place, cell in enumerate(cells)]
    if None in values:
        raise ValueError("a rating is empty")
    return values


def _mean(rows: list[list[float]]) -> Annotation:
    sentiment, *emotions = (round(sum(column) / len(rows), 6) for column in zip(*rows, strict=True))
    return Annotation(sentiment, tuple(emotions), tuple(row[0] for row in rows))
