"""Scan a copy of MSP-Podcast: its speaking turns as rows, and the problems with them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tqdm.auto import tqdm

from ..corpus_files import read_csv
from ..ratings import read_rating
from ..records import Scan, ScanOptions, problem
from ..schema import UNLABELLED, read_gender
from .release import TEST3, MspPodcastRelease
from .votes import OTHER, read_votes, share_votes

# Code of the consensus -> emotion.
EMOTIONS = {
    "A": "anger", "S": "sadness", "H": "happiness", "U": "surprise", "F": "fear", "D": "disgust", "C": "contempt",
    "N": "neutral", "O": OTHER, "X": "no agreement",
}  # fmt: skip
# Option `classes` -> the codes of the classes, in their order.
CLASSES = {8: "ASHUFDCN", 4: "AHNS", "all": "".join(EMOTIONS)}
SCALE = [1.0, 7.0]
PARTITIONS = {
    "Train": "train", "Development": "validation", "Test1": "test", "Test2": "test", "Test3": "test",
}  # fmt: skip
DIMENSION_COLUMNS = {"valence": "EmoVal", "arousal": "EmoAct", "dominance": "EmoDom"}
COLUMNS = ("FileName", "EmoClass", *DIMENSION_COLUMNS.values(), "SpkrID", "Gender", "Split_Set")
# Podcast and place in it.
NAME = re.compile(r"(MSP-PODCAST_[0-9A-Za-z]+)((?:_[0-9A-Za-z]+)+)", re.ASCII)
TRAIN_ONLY = "train"


@dataclass(frozen=True, kw_only=True)
class MspPodcastScanOptions(ScanOptions):
    """Options that determine a prepared MSP-Podcast."""

    classes: int | str = field(
        default=8,
        metadata={
            "help": "8 (anger, sadness, happiness, surprise, fear, disgust, contempt, neutral), 4 (anger, happiness, neutral, "
            "sadness) or all (8, other and no agreement)."
        },
    )
    keep_others: bool | str = field(
        default=False,
        metadata={
            "help": "Keep turns without one of the classes, among them those labelled other or without agreement, without a "
            "label: train (only in the training split, if raters voted for one of the classes; needs soft_labels) or true (in "
            "all splits, for valence, arousal and dominance)."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.classes, bool) or self.classes not in CLASSES:
            raise ValueError(f"classes must be 8, 4 or 'all', not {self.classes!r}.")
        if self.keep_others not in (False, True, TRAIN_ONLY):
            raise ValueError(f"keep_others must be true, false or 'train', not {self.keep_others!r}.")
        if self.keep_others and self.classes == "all":
            raise ValueError("keep_others is given, but classes is 'all', which leaves no turn out; give one of them.")

    @property
    def labels(self) -> list[str]:
        """The names of the classes in their order."""
        return [EMOTIONS[code] for code in CLASSES[self.classes]]


def scan(root: str | Path | None, options: MspPodcastScanOptions) -> Scan:
    """Scan a copy; no recording is opened.

    The partition of a row (Train, Development, Test1, Test2, Test3) is its `session`; the podcast is its `dialogue`, and `turn`
    its rank in it. Recordings of Test3 have no row in the table: they are kept without a label. Turns are left out with the
    problems "other emotion" (not among the classes, unless these are kept), "unknown label", "unknown split", "unreadable
    turn", "duplicate" and "missing audio". The other problems concern a rating, text or alignment that is None, speakers that
    occur in several partitions, and files that were not read.

    Args:
        root: The folder that contains `Labels` and `Audios`.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If there is no folder `root`, or it has no recordings.
        ValueError: If it is not the folder of the corpus, a table cannot be read, or votes are needed and missing.
    """
    release = MspPodcastRelease(root)
    if options.keep_others == TRAIN_ONLY and release.votes is None:
        raise ValueError(
            f"{release.consensus.parent} has neither labels_detailed.csv nor labels.txt, which keep_others=train needs: it "
            "keeps turns for the votes of their raters."
        )
    overview = _read_overview(release)
    return Scan(release.root, options.labels, _rows(release, overview, options), release.problems, release.sources)


class Overview(NamedTuple):
    """Values that need all rows of the table before the first can be used.

    Args:
        turns: The rank of each turn in its podcast, by name.
        rows: Number of rows of the table.
    """

    turns: dict[str, int]
    rows: int


def _read_overview(release: MspPodcastRelease) -> Overview:
    podcasts, speakers, rows = defaultdict(set), defaultdict(Counter), 0
    for cells in _read_table(release):
        rows += 1
        if name := _name(cells):
            podcasts[NAME.fullmatch(name)[1]].add(name)
            speakers[cells["Split_Set"]][_speaker(cells)] += 1
    _note_speakers(release, speakers)
    turns = {name: rank for names in podcasts.values() for rank, name in enumerate(sorted(names))}
    return Overview(turns, rows)


def _note_speakers(release: MspPodcastRelease, speakers: Mapping[str, Counter]) -> None:
    """Add the speakers that are unknown, and those that the partition shares with earlier ones, to the problems."""
    file = release.consensus.name
    for place, partition in enumerate(PARTITIONS):
        found = speakers.get(partition, Counter())
        if found[None]:
            what = f"{partition}: the speakers of {found[None]:,} of {found.total():,} turns are unknown."
            release.note("unknown speakers", what, file, known=True)
        for other in list(PARTITIONS)[:place]:
            if shared := (found.keys() & speakers.get(other, Counter()).keys()) - {None}:
                # The test sets share speakers with each other in every copy, not with other partitions.
                known = other.startswith("Test")
                what = f"{partition} and {other} have speakers in common: {len(shared):,}, for example {min(shared)}."
                release.note("shared speakers", what, file, known=known)


def _rows(release: MspPodcastRelease, overview: Overview, options: MspPodcastScanOptions) -> Iterator[dict]:
    votes = read_votes(release.votes) if release.votes else {}
    seen, table = set(), _read_table(release)
    for number, cells in enumerate(tqdm(table, "Scanning MSP-Podcast", overview.rows, disable=None), 1):
        name, shares = _name(cells), None
        if name:
            shares = share_votes(votes.get(f"{name}.wav", {}), options.labels)
        if reason := _reason_to_leave_out(release, cells, name, seen, shares, options):
            kind, why, known = reason
            what = f"{release.consensus.name}, row {number}, is dropped: {why}."
            release.note(kind, what, release.consensus.name, name, dropped=True, known=known)
        else:
            yield _complete(release, cells, name, overview.turns[name], options) | {"soft_label": shares}
        seen.add(name)
    yield from _unlabelled_rows(release, seen)


def _reason_to_leave_out(
    release: MspPodcastRelease,
    cells: Mapping[str, str],
    name: str | None,
    seen: set[str],
    shares: list[float] | None,
    options: MspPodcastScanOptions,
) -> tuple[str, str, bool] | None:
    """Return the kind of problem, the reason and whether every copy has it if a row cannot be used, else None."""
    code, partition = cells["EmoClass"], cells["Split_Set"]
    if name is None:
        return "unreadable turn", f"its FileName {cells['FileName']!r} is not MSP-PODCAST_<podcast>_<turn>.wav", False
    if name in seen:
        return "duplicate", f"{name} occurs in an earlier row", False
    if code not in EMOTIONS:
        return "unknown label", f"the EmoClass {code!r} of {name} is none of {', '.join(EMOTIONS)}", False
    if partition not in PARTITIONS:
        return "unknown split", f"the Split_Set {partition!r} of {name} is none of {', '.join(PARTITIONS)}", False
    if code not in CLASSES[options.classes]:
        other = f"{name} is labelled {code} ({EMOTIONS[code]}), which is not among the classes"
        if not options.keep_others:
            return "other emotion", other, True
        if options.keep_others == TRAIN_ONLY and partition != "Train":
            return "other emotion", f"{other}, and only turns of Train are kept without a label", True
        if options.keep_others == TRAIN_ONLY and shares is None:
            return "other emotion", f"{other}, and no rater chose one of them", True
    if name not in release.recordings:
        return "missing audio", f"there is no recording {name}.wav", False
    return None


def _complete(
    release: MspPodcastRelease, cells: Mapping[str, str], name: str, turn: int, options: MspPodcastScanOptions
) -> dict:
    """Return the row in the schema, without its soft label."""
    code, partition = cells["EmoClass"], cells["Split_Set"]
    return {
        "id": name,
        "audio": {"path": release.recordings[name]},
        "text": release.text(name),
        "label": EMOTIONS[code] if code in CLASSES[options.classes] else None,
        "speaker": _speaker(cells),
        "gender": read_gender(cells["Gender"]),
        "session": partition,
        "dialogue": NAME.fullmatch(name)[1],
        "turn": turn,
        "alignment": release.alignment(name),
        "vad": _ratings(release, cells, name),
        "split": PARTITIONS[partition],
    }


def _ratings(release: MspPodcastRelease, cells: Mapping[str, str], name: str) -> dict[str, float | None] | None:
    values = {}
    for dimension, column in DIMENSION_COLUMNS.items():
        try:
            values[dimension] = read_rating(cells[column], SCALE)
        except ValueError as error:
            values[dimension] = None
            what = f"{name} is kept without {dimension}: its {column} {error}."
            release.note("unreadable rating", what, release.consensus.name, name)
    return values if any(value is not None for value in values.values()) else None


def _unlabelled_rows(release: MspPodcastRelease, seen: set[str]) -> Iterator[dict]:
    """Yield recordings of Test3, which the table leaves out; other recordings without a row are problems."""
    found = 0
    for name, path in release.recordings.items():
        if name in seen:
            continue
        if TEST3.fullmatch(name):
            found += 1
            yield {
                "id": name,
                "audio": {"path": path},
                "label": None,
                "session": "Test3",
                "split": PARTITIONS["Test3"],
            }
        else:
            what = f"{name}.wav is ignored: {release.consensus.name} has no row for it."
            release.note("unlabelled", what, f"{name}.wav", dropped=True)
    if found:
        what = f"{found:,} recordings of Test3 have no labels, which are not public: they can only be predicted (test=Test3)."
        release.problems.append(problem(UNLABELLED, what, known=True))


def _read_table(release: MspPodcastRelease) -> Iterator[dict[str, str]]:
    for cells in read_csv(release.consensus, COLUMNS):
        yield {column: cells[column].strip() for column in COLUMNS}


def _name(cells: Mapping[str, str]) -> str | None:
    """Return the name of a turn, the id of its row; None if it is not one."""
    name = cells["FileName"].removesuffix(".wav")
    return name if NAME.fullmatch(name) else None


def _speaker(cells: Mapping[str, str]) -> str | None:
    speaker = cells["SpkrID"]
    return None if speaker.lower() in ("", "unknown", "nan") else speaker
