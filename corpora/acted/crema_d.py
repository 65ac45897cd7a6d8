"""CREMA-D (Cao et al. 2014): 91 actors, 12 sentences, six emotions, with votes of raters who heard, saw, or both.

AudioWAV/1001_DFA_ANG_XX.wav   AudioMP3/1001_DFA_ANG_XX.mp3   VideoFlash/1001_DFA_ANG_XX.flv
processedResults/tabulatedVotes.csv
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..corpus_files import read_csv
from ..records import Scan
from .scan import ACTED, PERCEIVED, scan_acted
from .table import ALL, ActedTable, FilmedScanOptions, Part, Protocol, choice, rotate

EMOTIONS = {
    "ANG": "angry", "DIS": "disgusted", "FEA": "fearful", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
SENTENCES = {
    "IEO": "It's eleven o'clock.",
    "TIE": "That is exactly what happened.",
    "IOM": "I'm on my way to the meeting.",
    "IWW": "I wonder what this is about.",
    "TAI": "The airplane is almost full.",
    "MTI": "Maybe tomorrow it will be cold.",
    "IWL": "I would like a new alarm clock.",
    "ITH": "I think I have a doctor's appointment.",
    "DFA": "Don't forget a jacket.",
    "ITS": "I think I've seen this before.",
    "TSI": "The surface is slick.",
    "WSI": "We'll stop in a couple of minutes.",
}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}  # only IEO was spoken at levels
SPEAKERS = tuple(str(number) for number in range(1001, 1092))
WOMEN = """
1002 1003 1004 1006 1007 1008 1009 1010 1012 1013 1018 1020 1021 1024 1025 1028 1029 1030 1037 1043 1046 1047 1049 1052
1053 1054 1055 1056 1058 1060 1061 1063 1072 1073 1074 1075 1076 1078 1079 1082 1084 1089 1091
"""
GENDER_OF = {speaker: "female" if speaker in WOMEN.split() else "male" for speaker in SPEAKERS}
FOLDS = 5

# The unofficial split of audEERING's conversion (https://github.com/audeering/crema-d, 1.1.0/speaker_splits.json); its other
# speakers train.
DEVELOPMENT = "1049 1053 1054 1055 1058 1059 1061 1062 1063 1064 1065 1066 1067 1068 1070 1075 1080 1085"
TEST = "1048 1069 1071 1074 1076 1077 1078 1079 1082 1083 1084 1086 1087 1088 1089 1090 1091"

# Utterances of each emotion in the published list of files, in the order of `EMOTIONS`.
PUBLISHED = {"female": (600, 600, 600, 600, 512, 600), "male": (671, 671, 671, 671, 575, 671)}
# Majority votes of each kind of rating, counted in the published table of votes.
PUBLISHED_VOTES = {
    "voice": {"female": (458, 257, 343, 222, 1685, 245), "male": (528, 290, 302, 131, 2212, 125)},
    "face": {"female": (457, 478, 463, 610, 824, 461), "male": (511, 579, 359, 656, 1252, 322)},
    "both": {"female": (484, 548, 561, 588, 798, 352), "male": (535, 591, 523, 631, 1174, 237)},
}

VOTES = "tabulatedVotes.csv"
QUERIES = {"voice": "1", "face": "2", "both": "3"}  # the first digit of the names of its rows
CODE_OF_VOTE = {emotion[0]: emotion for emotion in EMOTIONS}  # its columns are A, D, F, H, N, S


@dataclass(frozen=True, kw_only=True)
class CremaDScanOptions(FilmedScanOptions):
    """Options that determine a prepared CREMA-D."""

    labels: str = choice(
        ACTED,
        ACTED,
        PERCEIVED,
        text="acted (by the actor) or perceived (most of the raters' votes; ties are left out).",
    )
    raters: str = choice(
        "voice", *QUERIES, text="Raters whose votes are used for soft and perceived labels: voice, face or both."
    )
    keep_ties: bool = field(
        default=False,
        metadata={
            "help": "Keep utterances whose votes are tied, without a label, in the training split; needs labels: perceived and "
            "soft_labels."
        },
    )
    intensity: str = choice(
        ALL,
        ALL,
        *LEVELS.values(),
        text="all, unspecified, or a level of the one sentence that has levels: low, medium, high.",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.keep_ties and self.labels != PERCEIVED:
            raise ValueError(f"keep_ties is true, but labels is {self.labels!r}: only votes can be tied.")


def read_votes(path: Path, options: CremaDScanOptions) -> dict[str, dict[str, int]]:
    """Return the votes of the chosen raters by utterance and emotion code.

    Args:
        path: The file `tabulatedVotes.csv`, whose rows are named by a digit for the kind of rating and five for the clip.
        options: The options of the scan.

    Raises:
        ValueError: If it cannot be read, or a number of votes is not a whole number from 0.
    """
    votes = {}
    for number, row in enumerate(read_csv(path, (*CODE_OF_VOTE, "fileName")), 1):
        if not next(iter(row.values())).startswith(QUERIES[options.raters]):
            continue
        counts = [row[column] for column in CODE_OF_VOTE]
        if not all(count.isascii() and count.isdigit() and len(count) < 6 for count in counts):
            raise ValueError(f"{path}, row {number}, has votes that are not whole numbers: {', '.join(counts)}.")
        votes[row["fileName"]] = dict(zip(CODE_OF_VOTE.values(), map(int, counts), strict=True))
    return votes


def _labels(options: CremaDScanOptions) -> dict[str, str]:
    """Return the labels; neutral was not acted at a level."""
    has_neutral = options.intensity in (ALL, LEVELS["XX"]) or options.labels == PERCEIVED
    return {code: label for code, label in EMOTIONS.items() if has_neutral or code != "NEU"}


def _published(options: CremaDScanOptions) -> dict[str, dict[str, int]]:
    if options.intensity != ALL:
        return {}
    counts = PUBLISHED if options.labels == ACTED else PUBLISHED_VOTES[options.raters]
    return {gender: dict(zip(EMOTIONS.values(), numbers, strict=True)) for gender, numbers in counts.items()}


def _deal(speakers: tuple[str, ...], count: int) -> list[list[str]]:
    """Return groups of speakers with about as many women and men each, dealt in the order of their numbers (ours)."""
    by_gender = sorted(speakers, key=lambda speaker: (GENDER_OF[speaker], speaker))
    return [sorted(by_gender[number::count]) for number in range(count)]


def _split(development: Sequence[str], test: Sequence[str]) -> dict[str, Part]:
    """Return the splits with these speakers; the others train."""
    others = [speaker for speaker in SPEAKERS if speaker not in (*development, *test)]
    return {"train": Part(others), "validation": Part(development), "test": Part(test)}


CREMA_D = ActedTable(
    title="CREMA-D",
    language="en",
    license="Open Database License 1.0, its contents under the Database Contents License 1.0",
    holds="recordings such as 1001_DFA_ANG_XX.wav",
    pattern=r".*/(?P<speaker>\d{4})_(?P<sentence>[a-z]{3})_(?P<emotion>[a-z]{3})_(?P<intensity>[a-z]{1,2})",
    name="{speaker}_{sentence}_{emotion}_{intensity}",
    codes={"speaker": GENDER_OF, "sentence": SENTENCES, "emotion": EMOTIONS, "intensity": LEVELS},
    aliases={"x": "xx"},  # some copies have 1040_ITH_SAD_X.wav
    protocols={
        "speaker-folds": Protocol("Five folds by speaker", rotate(_deal(SPEAKERS, FOLDS))),
        "published-split": Protocol(
            "The unofficial split of audEERING's conversion",
            [_split(DEVELOPMENT.split(), TEST.split())],
        ),
    },
    labels=_labels,
    published=_published,
    count_by="gender",
    known={
        "1076_MTI_SAD_XX": "published without sound",
        "1076_MTI_NEU_XX": "its MP3 file and its video were published without sound, and very short",
        "1064_TIE_SAD_XX": "its MP3 file and its video were published without duration",
        "1064_IEO_DIS_MD": "its MP3 file and its video were published with all emotions, in one minute",
    },
    votes_table=VOTES,
    read_votes=read_votes,
)


def scan(root: str | Path | None, options: CremaDScanOptions) -> Scan:
    """Scan a copy, see `scan_acted`."""
    return scan_acted(CREMA_D, root, options)
