"""SAVEE (Haq and Jackson 2009): four men, seven emotions, British English; its sentences are not in the file names.

AudioData/DC/a01.wav: speaker DC, anger, first sentence of this emotion; or DC_a01.wav in one folder
"""

from pathlib import Path

from ..records import Scan
from .scan import scan_acted
from .table import ActedScanOptions, ActedTable, Protocol, rotate

EMOTIONS = {
    "a": "angry", "d": "disgusted", "f": "fearful", "h": "happy", "n": "neutral", "sa": "sad", "su": "surprised",
}  # fmt: skip
SPEAKERS = dict.fromkeys(("DC", "JE", "JK", "KL"), "male")
SENTENCES, NEUTRAL_SENTENCES = 15, 30  # of each emotion

SAVEE = ActedTable(
    title="SAVEE",
    language="en",
    license="that of SAVEE, on registration (http://kahlan.eps.surrey.ac.uk/savee)",
    holds="recordings such as DC/a01.wav or DC_a01.wav",
    pattern=r"(?:.*/)?(?P<speaker>[a-z]{2})[/_](?P<emotion>sa|su|[adfhn])(?P<take>\d\d)",
    name="{speaker}_{emotion}{take}",
    codes={"speaker": SPEAKERS, "emotion": EMOTIONS},
    protocols={
        "leave-one-speaker-out": Protocol("Leave-one-speaker-out", rotate([(speaker,) for speaker in SPEAKERS]))
    },
    published=lambda options: {
        speaker: {label: NEUTRAL_SENTENCES if label == "neutral" else SENTENCES for label in EMOTIONS.values()}
        for speaker in SPEAKERS
    },
)


def scan(root: str | Path | None, options: ActedScanOptions) -> Scan:
    """Scan a copy, see `scan_acted`."""
    return scan_acted(SAVEE, root, options)
