"""Scan a raw copy of CMU-MOSEI: its segments as rows, and the problems with them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm.auto import tqdm

from ..records import Scan, ScanOptions
from .annotations import EMOTIONS, SENTIMENT, Annotation
from .release import CmuMoseiRelease, Segment

NEUTRAL = "neutral"  # without any emotion
# Number of classes -> their names. The limits of seven are the SDK's.
EMOTION_CLASSES = {6: list(EMOTIONS), 7: [*EMOTIONS, NEUTRAL]}
SENTIMENT_CLASSES = {
    2: ["negative", "non-negative"],
    3: ["negative", "neutral", "positive"],
    7: [
        *("highly negative", "negative", "weakly negative", "neutral"),
        *("weakly positive", "positive", "highly positive"),
    ],
}
CLASSES = {"emotion": EMOTION_CLASSES, "sentiment": SENTIMENT_CLASSES}
SCALE = list(SENTIMENT)
TRAIN_ONLY = "train"


@dataclass(frozen=True, kw_only=True)
class CmuMoseiScanOptions(ScanOptions):
    """Options that determine a prepared CMU-MOSEI."""

    labels: str = field(
        default="emotion",
        metadata={"help": "emotion (the strongest one) or sentiment (a division of the scale from -3 to 3)."},
    )
    classes: int | None = field(
        default=None,
        metadata={
            "help": "Number of classes: of emotion 6, or 7 with neutral for segments without any; of sentiment 2 (negative, "
            "non-negative), 3 or 7. Null for 6 and 7."
        },
    )
    keep_others: bool | str = field(
        default=False,
        metadata={
            "help": "Keep segments without one strongest emotion, without a label: train (only in the training split, if they "
            "have any emotion; needs soft_labels) or true (in all splits, for valence)."
        },
    )
    standard_folds: str | None = field(
        default=None,
        metadata={
            "help": "The file cmu_mosei_std_folds.py of the SDK; null for the one in the folder. It is not run."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if self.labels not in CLASSES:
            raise ValueError(f"labels of CMU-MOSEI are {' or '.join(map(repr, CLASSES))}, not {self.labels!r}.")
        numbers = CLASSES[self.labels]
        if self.classes not in (None, *numbers):
            raise ValueError(f"classes of {self.labels} must be {', '.join(map(str, numbers))}, not {self.classes!r}.")
        if self.keep_others not in (False, True, TRAIN_ONLY):
            raise ValueError(f"keep_others must be true, false or 'train', not {self.keep_others!r}.")
        if self.keep_others and self.labels == "sentiment":
            raise ValueError("keep_others is given, but every segment has a class of sentiment; leave it out.")

    @property
    def class_names(self) -> list[str]:
        """The names of the classes in their order."""
        return CLASSES[self.labels][self.classes or (6 if self.labels == "emotion" else 7)]


def scan(root: str | Path | None, options: CmuMoseiScanOptions) -> Scan:
    """Scan a copy; no recording and no video is opened.

    `dialogue` is the video, `turn` the number of the segment, and the valence of `vad` its sentiment. Speakers are not known.
    Segments are left out with the problems "unlabelled", "unknown split" (a video of no standard fold), "other emotion" (none
    or several strongest ones), "duplicate", "unreadable segment" and "missing audio". The other problems are answers of raters
    and files that were not read.

    Args:
        root: The folder `Raw`, or the folder around it.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If there is no folder `root`, or no file of the standard folds.
        ValueError: If it is not the folder of the corpus, or annotations or folds cannot be read.
    """
    release = CmuMoseiRelease(root, options.standard_folds)
    return Scan(release.root, options.class_names, _rows(release, options), release.problems, release.sources)


def _rows(release: CmuMoseiRelease, options: CmuMoseiScanOptions) -> Iterator[dict]:
    labels, seen = options.class_names, set()
    for segment in tqdm(release.segments(), "Scanning CMU-MOSEI", unit=" segments", disable=None):
        annotation, audio = release.annotation(segment), release.audio(segment)
        label = annotation and find_label(annotation, labels, options.labels)
        shares = annotation and share_annotation(annotation, labels, options.labels)
        if reason := _reason_to_leave_out(release, segment, label, shares, annotation, options, seen):
            kind, why, known = reason
            file = f"{segment.video}.txt"
            release.note(kind, f"{segment.name} is dropped: {why}.", file, segment.name, dropped=True, known=known)
        elif audio is None:
            what = f"{segment.name} is dropped: there is neither a recording nor a video of {segment.video}."
            release.note("missing audio", what, f"{segment.video}.wav", segment.name, dropped=True)
        else:
            yield {
                "id": segment.name,
                "audio": audio,
                "text": segment.text or None,
                "label": label,
                "soft_label": shares,
                "dialogue": segment.video,
                "turn": segment.number,
                "start": segment.start,
                "end": segment.end,
                "video": release.video(segment),
                "vad": {"valence": annotation.sentiment, "arousal": None, "dominance": None},
                "split": release.splits[segment.video],
            }
        seen.add(segment.name)


def _reason_to_leave_out(
    release: CmuMoseiRelease,
    segment: Segment,
    label: str | None,
    shares: list[float] | None,
    annotation: Annotation | None,
    options: CmuMoseiScanOptions,
    seen: set[str],
) -> tuple[str, str, bool] | None:
    """Return the kind of problem, the reason and whether every copy has it if a segment cannot be used, else None."""
    if segment.name in seen:
        return "duplicate", "it occurs in an earlier line", False
    if segment.video not in release.splits:
        return "unknown split", f"{segment.video} is in none of the standard folds", True
    if annotation is None:
        return "unlabelled", "it has no annotation", True
    if label is None and options.keep_others is not True:
        why = "several emotions are the strongest one" if any(annotation.emotions) else "it has no emotion"
        if not options.keep_others:
            return "other emotion", why, True
        if release.splits[segment.video] != "train" or shares is None:
            return "other emotion", f"{why}, and only segments of the training split with an emotion are kept so", True
    return None


def find_label(annotation: Annotation, labels: list[str], kind: str) -> str | None:
    """Return the class of a segment; None if no emotion, or more than one, is the strongest.

    Args:
        annotation: The annotation.
        labels: Names of the classes in their order.
        kind: "emotion" or "sentiment".
    """
    if kind == "sentiment":
        return labels[_number_of(annotation.sentiment, len(labels))]
    strongest = max(annotation.emotions)
    if strongest == 0:
        return NEUTRAL if NEUTRAL in labels else None
    return labels[annotation.emotions.index(strongest)] if annotation.emotions.count(strongest) == 1 else None


def share_annotation(annotation: Annotation, labels: list[str], kind: str) -> list[float] | None:
    """Return the distribution over the classes (ours): of the intensity of the emotions, or of the raters' sentiments.

    Args:
        annotation: The annotation.
        labels: Names of the classes in their order.
        kind: "emotion" or "sentiment".

    Returns:
        A share per class; None without any emotion or without the answers of the raters.
    """
    if kind == "sentiment":
        counts = Counter(_number_of(vote, len(labels)) for vote in annotation.votes)
        return [counts[number] / counts.total() for number in range(len(labels))] if counts else None
    weights = [*annotation.emotions, float(not any(annotation.emotions))][: len(labels)]
    return [weight / sum(weights) for weight in weights] if any(weights) else None


def _number_of(sentiment: float, classes: int) -> int:
    """Return the number of the class of a sentiment.

    The limits of seven classes are whole numbers and belong to the weaker class: -2 is negative, -2.3 highly negative. Only 0
    is neutral.
    """
    if classes == 2:
        return int(sentiment >= 0)
    sign = (sentiment > 0) - (sentiment < 0)
    if classes == 3:
        return sign + 1
    size = abs(sentiment)
    return 3 + sign * (3 if size > 2 else 2 if size > 1 else 1)
