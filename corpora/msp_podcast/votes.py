"""Votes of the raters of MSP-Podcast: the primary emotion that each rater chose for a speaking turn."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..corpus_files import read_csv

TABLE, TEXT = "labels_detailed.csv", "labels.txt"
# Emotions as raters chose them -> ours. All others, "Other-..." and free text, are other.
EMOTIONS = {
    "angry": "anger", "sad": "sadness", "happy": "happiness", "surprise": "surprise", "fear": "fear",
    "disgust": "disgust", "contempt": "contempt", "neutral": "neutral",
}  # fmt: skip
OTHER = "other"


def find_votes(folder: Path) -> Path | None:
    """Return the file in a folder of labels that holds the votes, None if there is none."""
    paths = (folder / name for name in (TABLE, TEXT, TEXT.capitalize()))
    return next((path for path in paths if path.is_file()), None)


def read_votes(path: Path) -> Mapping[str, Counter[str]]:
    """Return how many raters chose each emotion as the primary one, by the name of the recording.

    Args:
        path: `labels_detailed.csv`, with a column `EmoClass_Major` or `EmoDetail`, or `labels.txt`.

    Raises:
        ValueError: If it cannot be read, or is no such file.
    """
    votes = defaultdict(Counter)
    for name, chosen in _read_table(path) if path.suffix == ".csv" else _read_text(path):
        if chosen:
            votes[name][EMOTIONS.get(chosen.lower(), OTHER)] += 1
    return votes


def share_votes(votes: Mapping[str, int], labels: list[str]) -> list[float] | None:
    """Return the distribution of votes over the classes (ours); None without a vote for any of them."""
    chosen = [votes.get(label, 0) for label in labels]
    return [count / sum(chosen) for count in chosen] if any(chosen) else None


def _read_table(path: Path) -> Iterator[tuple[str, str]]:
    """Yield recording and primary emotion of each row. Free text of raters may have any encoding."""
    for cells in read_csv(path, ("FileName",), errors="replace"):
        if "EmoClass_Major" in cells:
            yield cells["FileName"].strip(), cells["EmoClass_Major"].strip()
        elif "EmoDetail" in cells:
            yield cells["FileName"].strip(), _second_field(cells["EmoDetail"])
        else:
            raise ValueError(f"{path} has neither a column 'EmoClass_Major' nor 'EmoDetail': use the published file.")


def _read_text(path: Path) -> Iterator[tuple[str, str]]:
    """Yield recording and primary emotion of each rater. A block begins with the recording; a line per rater follows."""
    name = None
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            for line in file:
                if line.startswith("MSP-"):
                    name = line.partition(";")[0].strip()
                elif line.startswith("WORKER") and name is not None:
                    yield name, _second_field(line)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error


def _second_field(line: str) -> str:
    """Return the primary emotion in `WORKER00000001; Neutral; Neutral,Concerned; A:4.0; V:4.0; D:4.0;`."""
    return line.partition(";")[2].partition(";")[0].strip()
