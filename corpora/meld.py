"""MELD (Poria et al. 2019), from the folder of the published corpus or of a re-encoded copy.

The root holds `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`, and one or both of

    train_splits/dia0_utt0.mp4   dev_splits_complete/...   output_repeated_splits_test/...
    audio/train/dia0_utt0.flac   audio/dev/...             audio/test/...                     (or wav)

A recording is read from the second where it is there, else from the film.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets import DatasetDict
from tqdm.auto import tqdm

from .disk import build_corpus, find_root, measure, problem, read_csv
from .schema import SPLITS


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

# Utterances of each emotion as published, in the order of `LABELS`.
PUBLISHED = {
    "train": (4710, 1743, 1205, 1109, 683, 271, 268),
    "validation": (470, 163, 150, 153, 111, 22, 40),
    "test": (1256, 402, 281, 345, 208, 68, 50),
}

# What is wrong with the published clips themselves: not every problem is the copy's.
KNOWN = {
    "train_dia125_utt3": "the published clip cannot be decoded",
    "dev_dia110_utt7": "it was never published",
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
        Splits in the schema. If clips are missing, unreadable and so on, one warning counts them; `scan` lists them.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no clips of a split.
        ValueError: If `root` is not MELD or one level off, an option or a table cannot be used, or no row of a split can.
    """
    rows, problems = scan(root, labels, twins, max_seconds)
    return build_corpus("MELD", rows, LABELS[labels], problems, "emofusion.corpora.meld.scan")


def scan(
    root: str | Path | None = None, labels: str = "emotion", twins: bool = False, max_seconds: float | None = 60.0
) -> tuple[list[dict], list[dict]]:
    """Look through MELD on disk; the headers of its clips are read, nothing is decoded.

    Args and errors are those of `load`.

    Returns:
        The usable rows, in the schema with their `split`, and the problems as `disk.problem` gives them: a row that is
        not usable, a clip that is cut, a time that cannot be read, a clip that no table names.
    """
    if labels not in LABELS:
        raise ValueError(f"labels of MELD are {' or '.join(map(repr, LABELS))}, not {labels!r}.")
    if max_seconds is not None and not (isinstance(max_seconds, int | float) and max_seconds > 0):
        raise ValueError(f"max_seconds must be positive, or None to cut no clip, not {max_seconds!r}.")
    tables = [part.table for part in PARTS.values()]
    root = find_root(
        "MELD", root, lambda folder: all((folder / table).is_file() for table in tables), ", ".join(tables)
    )
    rows, problems = [], []
    for split in SPLITS:
        for row in _scan_part(root, PARTS[split], labels, twins, max_seconds, problems):
            rows.append({**row, "split": split})
    return rows, problems


def compare_counts(rows: Sequence[Mapping]) -> list[dict]:
    """Count rows beside the published counts of the emotions.

    A whole copy lacks two: the clips of one in train and of one in dev cannot be had.

    Args:
        rows: From `scan`, with emotions for labels.

    Returns:
        For every split and label a dict `split`, `label`, `found` and `published`.
    """
    found = Counter((row["split"], row["label"]) for row in rows)
    return [
        {"split": split, "label": label, "found": found[split, label], "published": published}
        for split in SPLITS
        for label, published in zip(LABELS["emotion"], PUBLISHED[split], strict=True)
    ]


def _scan_part(
    root: Path, part: Part, labels: str, twins: bool, max_seconds: float | None, problems: list
) -> list[dict]:
    """The usable rows of a split; what is wrong is added to `problems`."""
    folders = root / part.recordings, root / part.films
    if not any(folder.is_dir() for folder in folders):
        raise FileNotFoundError(
            f"{root} has clips of the split {part.name!r} neither in {part.films} nor in {part.recordings}."
        )
    rows = _read_table(root, part, labels, problems)
    wanted, clips = {item["id"] for item in [*rows, *problems]}, []
    for folder in folders:
        plain, twin, strange = _list_clips(folder, part)
        clips.append(plain | twin if twins else plain)
        strange += [path for found in (plain, twin) for name, path in found.items() if name not in wanted]
        for file in (path.relative_to(root).as_posix() for path in strange):
            problems.append(problem("unlabelled", f"{file} is ignored: no row of {part.table} is about it.", file))
    usable = []
    for row in tqdm(rows, desc=f"Looking through MELD, {part.name}", disable=None):
        recording, film = (found.get(row["id"]) for found in clips)
        if media := _open_clip(row["id"], recording, film, root, max_seconds, problems):
            usable.append(row | media)
    return usable


def _read_table(root: Path, part: Part, labels: str, problems: list) -> list[dict]:
    """Rows without their clips."""
    rows, origins = {}, {}
    for number, cells in enumerate(read_csv(root / part.table, COLUMNS), 1):
        cells = {column: cells[column].translate(PUNCTUATION).strip() for column in COLUMNS}
        numbers = cells["Dialogue_ID"], cells["Utterance_ID"]
        if not all(re.fullmatch(r"[0-9]{1,6}", cell) for cell in numbers):
            what = (
                f"{part.table}, row {number}, is dropped: its ids are {' and '.join(map(repr, numbers))}, not numbers."
            )
            problems.append(problem("unreadable", what, part.table))
            continue
        dialogue, turn = f"{part.name}_dia{int(numbers[0])}", int(numbers[1])
        name, label = f"{dialogue}_utt{turn}", cells[labels.capitalize()].lower()
        if name in rows:
            what = f"{part.table}, row {number}, is dropped: {name} is there already."
            problems.append(problem("duplicate", what, part.table, name))
            continue
        if label not in LABELS[labels]:
            what = (
                f"{part.table}, row {number} ({name}), is dropped: {label!r} is none of {', '.join(LABELS[labels])}."
            )
            problems.append(problem("unknown label", what, part.table, name))
            continue
        start, end = _seconds(cells["StartTime"]), _seconds(cells["EndTime"])
        if start is None or end is None or start >= end:
            what = f"{name} has no times: {cells['StartTime']!r} to {cells['EndTime']!r} is no span."
            problems.append(problem("unreadable time", what, part.table, name))
            start = end = None
        else:
            origins[dialogue] = min(start, origins.get(dialogue, start))
        rows[name] = {
            "id": name,
            "text": cells["Utterance"] or None,
            "label": label,
            "speaker": cells["Speaker"] or None,
            "dialogue": dialogue,
            "turn": turn,
            "start": start,
            "end": end,
        }
    for row in rows.values():
        if row["start"] is not None:
            row |= {time: round(row[time] - origins[row["dialogue"]], 3) for time in ("start", "end")}
    return list(rows.values())


def _seconds(time: str) -> float | None:
    """Seconds of `HH:MM:SS,mmm`, whose hour may have one digit."""
    if match := TIME.fullmatch(time):
        hours, minutes, seconds, milliseconds = map(int, match.groups())
        return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000
    return None


def _list_clips(folder: Path, part: Part) -> tuple[dict, dict, list[Path]]:
    """Clips by id, their twins, and what is neither. Hidden files are those of a Mac's file system."""
    plain, twin, strange = {}, {}, []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        if match := CLIP.fullmatch(path.name):
            # Of two encodings the first in the alphabet counts: flac.
            (twin if match[1] else plain).setdefault(f"{part.name}_dia{int(match[2])}_utt{int(match[3])}", path)
        else:
            strange.append(path)
    return plain, twin, strange


def _open_clip(
    name: str, recording: Path | None, film: Path | None, root: Path, max_seconds: float | None, problems: list
) -> dict | None:
    """The columns `audio` and `video` of a row; None if there is nothing to hear."""
    known = f" ({KNOWN[name]})" if name in KNOWN else ""
    if recording is None and film is None:
        problems.append(problem("missing", f"{name} is dropped: its clip is not there{known}.", name=name))
        return None
    media = {}
    files = {"audio": recording, "video": film} if recording and film else {"audio": recording or film}
    for column, path in files.items():
        file = path.relative_to(root).as_posix()
        try:
            seconds = measure(path, column)
        except ValueError as error:
            fate = "is dropped" if column == "audio" else "keeps its recording only"
            problems.append(problem("unreadable", f"{name} {fate}{known}: {error}", file, name))
            if column == "audio":
                return None
            continue
        media[column] = {"path": str(path)}
        if max_seconds is not None and seconds is not None and seconds > max_seconds:
            media[column] |= {"start": 0.0, "end": float(max_seconds)}
            what = f"{name} is cut: {file} lasts {seconds:.1f} s{known}, of which {max_seconds} s are used."
            problems.append(problem("too long", what, file, name))
    return media if recording else {"audio": media["audio"], "video": media["audio"]}
