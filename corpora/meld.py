"""MELD (Poria et al. 2019), from the folder of the published corpus or of a re-encoded copy.

The root holds `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`, and one or both of

    train_splits/dia0_utt0.mp4   dev_splits_complete/...   output_repeated_splits_test/...
    audio/train/dia0_utt0.flac   audio/dev/...             audio/test/...                     (or wav)

A recording is read from the second where it is there, else from the film.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from datasets import DatasetDict
from tqdm.auto import tqdm

from .preparation.prepare import prepare
from .scan import Scan, find_root, finish, list_files, problem, read_csv


class Part(NamedTuple):
    """MELD's own name of a split, which begins the ids, and where it is."""

    name: str
    table: str
    films: str
    recordings: str


PARTS = {
    "train": Part("train", "train_sent_emo.csv", "train_splits", "audio/train"),
    "validation": Part("dev", "dev_sent_emo.csv", "dev_splits_complete", "audio/dev"),
    "test": Part("test", "test_sent_emo.csv", "output_repeated_splits_test", "audio/test"),
}
COLUMNS = (
    *("Utterance", "Speaker", "Emotion", "Sentiment"),
    *("Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"),
)
LABELS = {
    "emotion": ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"),
    "sentiment": ("neutral", "positive", "negative"),
}

PART = "split"  # what counts are given by

# Utterances of each emotion as published, in the order of `LABELS`. The clips of two cannot be had.
PUBLISHED = {
    "train": (4710, 1743, 1205, 1109, 683, 271, 268),
    "validation": (470, 163, 150, 153, 111, 22, 40),
    "test": (1256, 402, 281, 345, 208, 68, 50),
}

# What is wrong with the published clips themselves: not every problem is the copy's.
UNUSABLE = {
    "train_dia125_utt3": "the published clip cannot be decoded",
    "dev_dia110_utt7": "it was never published",
}
KNOWN = UNUSABLE | {
    "test_dia38_utt4": "the published clip is a wrong cut of 305 s",
    "test_dia220_utt0": "the published clip is a wrong cut of 235 s",
}

CLIP = re.compile(r"(final_videos_test)?dia(\d+)_utt(\d+)\.(?:mp4|flac|wav)")
TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})[,.](\d{3})")

# Older copies keep the punctuation of cp1252 as control characters; what cp1252 does not define means nothing.
PUNCTUATION = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)} | {0xA0: " "}


def about(labels: str = "emotion", **options) -> dict:
    """What is to be said of the corpus where results on it are shown.

    Args:
        labels: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    return {
        "title": "MELD" if labels == "emotion" else "MELD (sentiment)",
        "demonstration": False,
        "protocol": "The official splits of MELD. They share their speakers, the cast of one television series: the "
        "numbers say nothing of a new speaker.",
        "license": "that of MELD (https://affective-meld.github.io); its clips are of a television series",
    }


def load(
    root: str | Path | None = None, labels: str = "emotion", twins: bool = False, max_seconds: float | None = 60.0
) -> DatasetDict:
    """Load MELD in its official splits; dev is validation.

    Ids are `<split>_dia<D>_utt<U>`, with MELD's names of the splits (train, dev, test). Speakers are as in the tables,
    groups ("Ross and Joey", "All") included. `start` and `end` are the table's times in the episode, counted from the
    dialogue's first utterance; a clip is cut already, so that its span is all of it, or its first `max_seconds`.

    Args:
        root: Folder with the three CSV files and the clips.
        labels: "emotion" (seven classes) or "sentiment" (three).
        twins: Whether a test clip is read from its twin `final_videos_test<name>.mp4` where it has one.
        max_seconds: Longer clips are cut here; two published ones are wrong cuts of minutes. None never cuts.

    Returns:
        Splits in the schema. If clips are missing, unreadable and so on, one warning counts them.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no clips of a split.
        ValueError: If `root` is not MELD or one level off, an option or a table cannot be used, or no row of a split can.
    """
    prepared = prepare("meld", root, max_seconds=max_seconds, labels=labels, twins=twins)
    return finish("MELD", prepared, prepared.splits)


def scan(root: str | Path | None = None, labels: str = "emotion", twins: bool = False) -> Scan:
    """Read the tables and list the clips of MELD; no clip is opened.

    Problems are a row that is left out, a time that cannot be read, a clip that no table names, and files that are not
    read ("link out of the copy", "no permission").

    Args:
        root: As in `load`.
        labels: As in `load`.
        twins: As in `load`.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no clips of a split.
        ValueError: If `root` is not MELD or one level off, an option is none of those in `load`, or a table cannot be read.
    """
    if labels not in LABELS:
        raise ValueError(f"labels of MELD are {' or '.join(map(repr, LABELS))}, not {labels!r}.")
    tables = [part.table for part in PARTS.values()]
    root = find_root(
        "MELD", root, lambda folder: all((folder / table).is_file() for table in tables), ", ".join(tables)
    ).resolve()
    sources = [root / table for table in tables]
    for part in PARTS.values():
        folders = [root / folder for folder in (part.recordings, part.films) if (root / folder).is_dir()]
        if not folders:
            raise FileNotFoundError(
                f"{root} has clips of the split {part.name!r} neither in {part.films} nor in {part.recordings}."
            )
        sources += folders
    overviews = {split: _look_over(root, part) for split, part in PARTS.items()}
    problems = []
    rows = (
        row | {"split": split}
        for split, part in PARTS.items()
        for row in _rows(root, part, overviews[split], labels, twins, problems)
    )
    return Scan(root, list(LABELS[labels]), rows, problems, sources)


def published(labels: str = "emotion", **options) -> dict[str, dict[str, int]]:
    """How many utterances of each emotion the tables of a split have; nothing was published of the sentiments.

    Args:
        labels: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    if labels != "emotion":
        return {}
    return {split: dict(zip(LABELS["emotion"], counts, strict=True)) for split, counts in PUBLISHED.items()}


class Overview(NamedTuple):
    """What all rows of a table have to say before the first can be used.

    Args:
        names: Their ids.
        starts: When each dialogue begins, in seconds of the episode.
    """

    names: set[str]
    starts: dict[str, float]


def _look_over(root: Path, part: Part) -> Overview:
    names, starts = set(), {}
    for cells in _read_table(root, part):
        if place := _place(part, cells):
            dialogue, turn = place
            names.add(f"{dialogue}_utt{turn}")
            if span := _span(cells):
                starts[dialogue] = min(span[0], starts.get(dialogue, span[0]))
    return Overview(names, starts)


def _rows(
    root: Path, part: Part, overview: Overview, labels: str, twins: bool, problems: list[dict]
) -> Iterator[dict]:
    """The rows of a split that can be used; what is wrong is added to `problems`."""
    recordings, films = (
        _list_clips(root, folder, part, overview.names, twins, problems) for folder in (part.recordings, part.films)
    )
    table = tqdm(
        _read_table(root, part), desc=f"Looking through MELD, {part.name}", total=len(overview.names), disable=None
    )
    seen = set()
    for number, cells in enumerate(table, 1):
        dialogue, turn = _place(part, cells) or (None, None)
        name, label = dialogue and f"{dialogue}_utt{turn}", cells[labels.capitalize()].lower()
        recording, film = recordings.get(name), films.get(name)
        if reason := _reason_to_leave_out(cells, name, seen, label, LABELS[labels], recording or film):
            kind, why = reason
            what, known = f"{part.table}, row {number}, is dropped: {why}.", kind == "missing" and name in UNUSABLE
            problems.append(problem(kind, what, part.table, name, dropped=True, known=known))
            continue
        seen.add(name)
        yield {
            "id": name,
            "audio": {"path": recording or film},
            "text": cells["Utterance"] or None,
            "label": label,
            "speaker": cells["Speaker"] or None,
            "dialogue": dialogue,
            "turn": turn,
            "video": film and {"path": film},
            **_times(name, cells, overview.starts.get(dialogue), part, problems),
        }


def _reason_to_leave_out(
    cells: Mapping[str, str], name: str | None, seen: set[str], label: str, labels: tuple[str, ...], clip: str | None
) -> tuple[str, str] | None:
    """Kind of problem and why, where a row is not to be used."""
    if name is None:
        return "unreadable", f"its ids are {cells['Dialogue_ID']!r} and {cells['Utterance_ID']!r}, not numbers"
    if name in seen:
        return "duplicate", f"{name} is there already"
    if label not in labels:
        return "unknown label", f"{label!r} is none of {', '.join(labels)}"
    if clip is None:
        known = f" ({UNUSABLE[name]})" if name in UNUSABLE else ""
        return "missing", f"the clip of {name} is not there{known}"
    return None


def _read_table(root: Path, part: Part) -> Iterator[dict[str, str]]:
    for cells in read_csv(root / part.table, COLUMNS):
        yield {column: cells[column].translate(PUNCTUATION).strip() for column in COLUMNS}


def _place(part: Part, cells: Mapping[str, str]) -> tuple[str, int] | None:
    """The dialogue, by a name that no other split has, and the number of the utterance in it."""
    numbers = cells["Dialogue_ID"], cells["Utterance_ID"]
    if not all(re.fullmatch(r"[0-9]{1,6}", cell) for cell in numbers):
        return None
    return f"{part.name}_dia{int(numbers[0])}", int(numbers[1])


def _times(name: str, cells: Mapping[str, str], origin: float | None, part: Part, problems: list[dict]) -> dict:
    """The columns `start` and `end`, counted from the beginning of the dialogue."""
    if span := _span(cells):
        return {"start": round(span[0] - origin, 3), "end": round(span[1] - origin, 3)}
    what = f"{name} has no times: {cells['StartTime']!r} to {cells['EndTime']!r} is no span."
    problems.append(problem("unreadable time", what, part.table, name))
    return {"start": None, "end": None}


def _span(cells: Mapping[str, str]) -> tuple[float, float] | None:
    """Seconds of two times `HH:MM:SS,mmm`, whose hours may have one digit."""
    matches = TIME.fullmatch(cells["StartTime"]), TIME.fullmatch(cells["EndTime"])
    if not all(matches):
        return None
    start, end = (
        3600 * hours + 60 * minutes + seconds + milliseconds / 1000
        for hours, minutes, seconds, milliseconds in (map(int, match.groups()) for match in matches)
    )
    return (start, end) if start < end else None


def _list_clips(
    root: Path, folder: str, part: Part, names: set[str], twins: bool, problems: list[dict]
) -> dict[str, str]:
    """Paths of the clips in a folder by id. Of two encodings the first in the alphabet counts: flac."""
    plain, twin = {}, {}
    for file, path in list_files(root, folder, problems):
        match = CLIP.fullmatch(file)
        name = match and f"{part.name}_dia{int(match[2])}_utt{int(match[3])}"
        if name in names:
            (twin if match[1] else plain).setdefault(name, path)
        else:  # of clips without a row, the published folders have some too
            what = f"{folder}/{file} is ignored: no row of {part.table} is about it."
            problems.append(problem("unlabelled", what, f"{folder}/{file}", known=match is not None))
    return plain | twin if twins else plain
