"""IEMOCAP (Busso et al. 2008), read from the folder of a licensed user: ten actors in five sessions.

The corpus is licensed and not downloaded. Nothing is left out silently: the scan lists every problem of a copy.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import DiskCorpus
from ..folds import describe_fold_file, finish_splits, read_fold, read_folds, split_by_ids
from ..protocols import VALIDATIONS, Fold, leave_one_session_out, leave_one_speaker_out
from .scan import CLASSES, IemocapScanOptions, scan

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

SESSIONS = tuple(f"Ses0{number}" for number in range(1, 6))
SPEAKERS = tuple(f"{session}{letter}" for session in SESSIONS for letter in "FM")

TITLES = {
    4: "IEMOCAP with four classes (happy includes excited)",
    6: "IEMOCAP with six classes",
    "all": "IEMOCAP with all labels",
}
# Protocol -> the test session or speaker of each fold.
PROTOCOLS = {"leave-one-session-out": SESSIONS, "leave-one-speaker-out": SPEAKERS}

# Published counts of a complete copy: all turns, and the turns of these codes in each session.
PUBLISHED_TURNS = 10039
PUBLISHED = {
    "ang": (229, 137, 240, 327, 170),
    "hap": (135, 117, 135, 65, 143),
    "exc": (143, 210, 151, 238, 299),
    "neu": (384, 362, 320, 258, 384),
    "sad": (194, 197, 305, 143, 245),
    "fru": (280, 325, 382, 481, 381),
}


@dataclass(frozen=True, kw_only=True)
class IemocapOptions(IemocapScanOptions):
    """Options of IEMOCAP: those of its scan, and those that choose the splits."""

    fold: int = field(
        default=1,
        metadata={
            "help": "Number of the test fold, from 1: a session, or a speaker in the order Ses01F, Ses01M, Ses02F, ..."
        },
    )
    protocol: str = field(
        default="leave-one-session-out",
        metadata={
            "help": "leave-one-session-out (5 folds; see validation) or leave-one-speaker-out (10 folds; the other speaker of "
            "the session is the validation split)."
        },
    )
    validation: str = field(
        default="session",
        metadata={
            "help": "Validation split of leave-one-session-out: session (both speakers of the next session, after the fifth "
            "the first) or speakers (a woman of the next session and a man of the one after it; the other six speakers of "
            "the four sessions train)."
        },
    )
    fold_file: str | Path | None = field(
        default=None, metadata={"help": "JSON file of folds, which replaces the protocol; fold is the position in it."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol must be one of {', '.join(PROTOCOLS)}, not {self.protocol!r}.")
        if self.validation not in VALIDATIONS:
            raise ValueError(f"validation must be one of {', '.join(VALIDATIONS)}, not {self.validation!r}.")
        if self.validation != "session" and (self.fold_file or self.protocol != "leave-one-session-out"):
            raise ValueError(
                f"validation is {self.validation!r}, which only leave-one-session-out has; leave it out, or change the "
                "protocol."
            )
        if self.fold_file is None and not (isinstance(self.fold, int) and 1 <= self.fold <= len(self.tested)):
            raise ValueError(f"fold must be from 1 to {len(self.tested)}, not {self.fold!r}.")

    @property
    def tested(self) -> tuple[str, ...]:
        """The test session or speaker of each fold of the protocol."""
        return PROTOCOLS[self.protocol]


class Iemocap(DiskCorpus):
    """IEMOCAP. Its `root` is `IEMOCAP_full_release`, its parent, or a folder that contains `Session1` to `Session5`."""

    name = "iemocap"
    options = IemocapOptions
    scan_options = IemocapScanOptions
    scan = staticmethod(scan)
    count_by = "session"

    def load(self, root: str | Path | None, options: IemocapOptions) -> "DatasetDict":
        """Load one fold, see `Corpus.load`.

        Raises:
            FileNotFoundError: If `root` does not exist.
            ValueError: If it is not the folder of the corpus, or a split is empty.
        """
        from ..preparation.prepare import prepare

        fold, name = None, f"{options.fold_file or options.protocol}, fold {options.fold}"
        if options.fold_file:
            fold = read_fold(options.fold_file, options.fold)
        prepared = prepare(self, root, options)
        if fold is None:
            folds, tested = _divide(prepared.splits["train"], options), options.tested[options.fold - 1]
            if tested not in folds:
                raise ValueError(
                    f"The test split of fold {options.fold} is {tested}, but {root} has no usable turn of it."
                )
            fold = folds[tested]
        splits = split_by_ids(prepared.splits, fold, name, {found["id"] for found in prepared.problems})
        return finish_splits("IEMOCAP", prepared, splits)

    def describe(self, options: IemocapOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        if options.fold_file is not None:
            protocol = describe_fold_file(options.fold_file, options.fold)
        elif options.protocol == "leave-one-session-out":
            speakers, trained = "the two speakers of the next session", "the other sessions"
            if options.validation == "speakers":
                following, after = (SESSIONS[(options.fold + step) % len(SESSIONS)] for step in (0, 1))
                speakers, trained = f"the speakers {following}F and {after}M", "the other six speakers"
            protocol = (
                f"Leave-one-session-out, fold {options.fold} of 5: session {options.fold} is the test split, {speakers} the "
                f"validation split, and {trained} the training split."
            )
        else:
            protocol = (
                f"Leave-one-speaker-out, fold {options.fold} of 10: the speaker {options.tested[options.fold - 1]} is the "
                "test split, the other speaker of the same session the validation split, and the other sessions the "
                "training split."
            )
        return {
            "title": TITLES[options.classes],
            "demonstration": False,
            "fold": options.fold,
            "protocol": protocol,
            "speaker_independent": options.fold_file is None,
            "language": ["en"],
            "dimension_scale": [1, 5],
            "license": "for research, by agreement with the University of Southern California (SAIL)",
        }

    def folds(self, options: IemocapOptions) -> list[dict]:
        """Return the folds of the protocol or the fold file, see `Corpus.folds`."""
        count = len(options.tested if options.fold_file is None else read_folds(options.fold_file))
        return [{"fold": number} for number in range(1, count + 1)]

    def published_counts(self, options: IemocapScanOptions) -> dict[str, dict[str, int]]:
        """Return the published turns per session and label; with all labels, also the total, as "all"."""
        counts = {session: Counter() for session in SESSIONS}
        for code, label in CLASSES[options.classes].items():
            for session, count in zip(SESSIONS, PUBLISHED.get(code, ()), strict=code in PUBLISHED):
                counts[session][label] += count
        total = {"all": {"all": PUBLISHED_TURNS}} if options.classes == "all" else {}
        return {session: dict(labels) for session, labels in counts.items()} | total


def _divide(rows: "Dataset", options: IemocapOptions) -> dict[str, Fold]:
    """Return the folds of the protocol by their test session or speaker."""
    if options.protocol == "leave-one-session-out":
        return leave_one_session_out(rows, options.validation)
    return leave_one_speaker_out(rows)


IEMOCAP = Iemocap()
