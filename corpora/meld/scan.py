"""Scan a copy of MELD: the rows of its tables, with their clips.

The root contains `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`, and one or both of

    train_splits/dia0_utt0.mp4   dev_splits_complete/...   output_repeated_splits_test/...
    audio/train/dia0_utt0.flac   audio/dev/...             audio/test/...                     (or wav)

Audio is read from the recording if it exists, else from the video.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from ..corpus_files import find_root, list_files, read_csv
from ..dialogues import turn_of
from ..records import Scan, ScanOptions, problem


class SplitFiles(NamedTuple):
    """The files of a split.

    Args:
        name: MELD's name of the split, with which the ids begin.
        table: The CSV file.
        videos: The folder of clips as published.
        recordings: The folder of re-encoded recordings.
    """

    name: str
    table: str
    videos: str
    recordings: str


SPLIT_FILES = {
    "train": SplitFiles("train", "train_sent_emo.csv", "train_splits", "audio/train"),
    "validation": SplitFiles("dev", "dev_sent_emo.csv", "dev_splits_complete", "audio/dev"),
    "test": SplitFiles("test", "test_sent_emo.csv", "output_repeated_splits_test", "audio/test"),
}
COLUMNS = (
    *("Utterance", "Speaker", "Emotion", "Sentiment"),
    *("Dialogue_ID", "Utterance_ID", "StartTime", "EndTime"),
)
LABELS = {
    "emotion": ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"),
    "sentiment": ("neutral", "positive", "negative"),
}

# Problems of the published clips, which every copy has.
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

# Older copies store the punctuation of cp1252 as control characters. Codes that cp1252 does not define are removed.
PUNCTUATION = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)} | {0xA0: " "}


@dataclass(frozen=True, kw_only=True)
class MeldScanOptions(ScanOptions):
    """Options that determine a prepared MELD."""

    labels: str = field(default="emotion", metadata={"help": "emotion (seven classes) or sentiment (three)."})
    twins: bool = field(
        default=False,
        metadata={"help": "Read a test clip from its twin final_videos_test<name>.mp4 if there is one."},
    )

    faces: bool = field(
        default=False, metadata={"help": "Crop the videos to the largest face where one is found; needs scikit-image."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.labels not in LABELS:
            raise ValueError(f"labels of MELD are {' or '.join(map(repr, LABELS))}, not {self.labels!r}.")


def scan(root: str | Path | None, options: MeldScanOptions) -> Scan:
    """Read the tables and list the clips; no clip is opened.

    Problems are rows that are left out, times that cannot be read, clips without a row in the tables, and files that are
    not read ("broken link", "no permission").

    Args:
        root: Folder with the three CSV files and the clips.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no clips of a split.
        ValueError: If `root` is not the folder of MELD, or a table cannot be read.
    """
    tables = [files.table for files in SPLIT_FILES.values()]
    root = find_root(
        "MELD", root, lambda folder: all((folder / table).is_file() for table in tables), ", ".join(tables)
    ).resolve()
    sources = [root / table for table in tables]
    for files in SPLIT_FILES.values():
        folders = [root / folder for folder in (files.recordings, files.videos) if (root / folder).is_dir()]
        if not folders:
            raise FileNotFoundError(
                f"{root} has clips of the split {files.name!r} neither in {files.videos} nor in {files.recordings}."
            )
        sources += folders
    overviews = {split: _read_overview(root, files) for split, files in SPLIT_FILES.items()}
    problems, turns = [], []
    rows = (
        row | {"split": split}
        for split, files in SPLIT_FILES.items()
        for row in _rows(root, files, overviews[split], options, problems, turns)
    )
    return Scan(root, list(LABELS[options.labels]), rows, problems, sources, turns)


class Overview(NamedTuple):
    """Values that need all rows of a table before the first can be used.

    Args:
        names: The ids.
        starts: The start of each dialogue in seconds of the episode.
    """

    names: set[str]
    starts: dict[str, float]


def _read_overview(root: Path, files: SplitFiles) -> Overview:
    names, starts = set(), {}
    for cells in _read_table(root, files):
        if place := _dialogue_and_turn(files, cells):
            dialogue, turn = place
            names.add(f"{dialogue}_utt{turn}")
            if span := _span(cells):
                starts[dialogue] = min(span[0], starts.get(dialogue, span[0]))
    return Overview(names, starts)


def _rows(
    root: Path,
    files: SplitFiles,
    overview: Overview,
    options: MeldScanOptions,
    problems: list[dict],
    turns: list[dict],
) -> Iterator[dict]:
    """Yield the usable rows of a split; add the others to `problems`, and their words to `turns`."""
    recordings, videos = (
        _list_clips(root, folder, files, overview.names, options.twins, problems)
        for folder in (files.recordings, files.videos)
    )
    labels = LABELS[options.labels]
    table = tqdm(
        _read_table(root, files), desc=f"Scanning MELD, {files.name}", total=len(overview.names), disable=None
    )
    seen = set()
    for number, cells in enumerate(table, 1):
        dialogue, turn = _dialogue_and_turn(files, cells) or (None, None)
        name, label = dialogue and f"{dialogue}_utt{turn}", cells[options.labels.capitalize()].lower()
        recording, video = recordings.get(name), videos.get(name)
        said = {
            "text": cells["Utterance"] or None,
            "speaker": cells["Speaker"] or None,
            "dialogue": dialogue,
            "turn": turn,
        }
        if reason := _reason_to_leave_out(cells, name, seen, label, labels, recording or video):
            kind, why = reason
            what, known = f"{files.table}, row {number}, is dropped: {why}.", kind == "missing" and name in UNUSABLE
            problems.append(problem(kind, what, files.table, name, dropped=True, known=known))
            if kind in ("unknown label", "missing"):
                turns.append(turn_of(said))
            continue
        seen.add(name)
        yield {
            "id": name,
            "audio": {"path": recording or video},
            **said,
            "label": label,
            "video": video and {"path": video, "crop": "face" if options.faces else None},
            **_times(name, cells, overview.starts.get(dialogue), files, problems),
        }


def _reason_to_leave_out(
    cells: Mapping[str, str], name: str | None, seen: set[str], label: str, labels: tuple[str, ...], clip: str | None
) -> tuple[str, str] | None:
    """Return the kind of problem and the reason if a row cannot be used, else None."""
    if name is None:
        return "unreadable", f"its ids are {cells['Dialogue_ID']!r} and {cells['Utterance_ID']!r}, not numbers"
    if name in seen:
        return "duplicate", f"{name} occurs in an earlier row"
    if label not in labels:
        return "unknown label", f"{label!r} is none of {', '.join(labels)}"
    if clip is None:
        known = f" ({UNUSABLE[name]})" if name in UNUSABLE else ""
        return "missing", f"the clip of {name} does not exist{known}"
    return None


def _read_table(root: Path, files: SplitFiles) -> Iterator[dict[str, str]]:
    for cells in read_csv(root / files.table, COLUMNS):
        yield {column: cells[column].translate(PUNCTUATION).strip() for column in COLUMNS}


def _dialogue_and_turn(files: SplitFiles, cells: Mapping[str, str]) -> tuple[str, int] | None:
    """Return the dialogue, named uniquely across splits, and the number of the utterance in it; None if unreadable."""
    numbers = cells["Dialogue_ID"], cells["Utterance_ID"]
    if not all(re.fullmatch(r"[0-9]{1,6}", cell) for cell in numbers):
        return None
    return f"{files.name}_dia{int(numbers[0])}", int(numbers[1])


def _times(name: str, cells: Mapping[str, str], origin: float | None, files: SplitFiles, problems: list[dict]) -> dict:
    """Return the columns `start` and `end` in seconds from the start of the dialogue, `origin`."""
    if span := _span(cells):
        return {"start": round(span[0] - origin, 3), "end": round(span[1] - origin, 3)}
    what = f"{name} has no times: {cells['StartTime']!r} to {cells['EndTime']!r} is not a span."
    problems.append(problem("unreadable time", what, files.table, name))
    return {"start": None, "end": None}


def _span(cells: Mapping[str, str]) -> tuple[float, float] | None:
    """Return start and end in seconds from two times `HH:MM:SS,mmm`, whose hours may have one digit; None if unreadable."""
    matches = TIME.fullmatch(cells["StartTime"]), TIME.fullmatch(cells["EndTime"])
    if not all(matches):
        return None
    start, end = (
        3600 * hours + 60 * minutes + seconds + milliseconds / 1000
        for hours, minutes, seconds, milliseconds in (map(int, match.groups()) for match in matches)
    )
    return (start, end) if start < end else None


def _list_clips(
    root: Path, folder: str, files: SplitFiles, names: set[str], twins: bool, problems: list[dict]
) -> dict[str, str]:
    """Return the paths of the clips in a folder by id. With two encodings of a clip, the first by name counts (flac)."""
    plain, twin = {}, {}
    for file, path in list_files(root, folder, problems):
        match = CLIP.fullmatch(file)
        name = match and f"{files.name}_dia{int(match[2])}_utt{int(match[3])}"
        if name in names:
            (twin if match[1] else plain).setdefault(name, path)
        else:  # the published folders also contain clips without a row
            what = f"{folder}/{file} is ignored: {files.table} has no row for it."
            problems.append(problem("unlabelled", what, f"{folder}/{file}", dropped=True, known=match is not None))
    return plain | twin if twins else plain
