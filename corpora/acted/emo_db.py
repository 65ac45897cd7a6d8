"""EMO-DB, the Berlin Database of Emotional Speech (Burkhardt et al. 2005): ten actors, ten German sentences, seven emotions.

wav/03a01Fa.wav: speaker 03, sentence a01, Freude (happiness), version a
"""

from pathlib import Path

from ..records import Scan
from .scan import scan_acted
from .table import ActedScanOptions, ActedTable, Protocol, rotate

EMOTIONS = {
    "W": "angry", "L": "bored", "E": "disgusted", "A": "fearful", "F": "happy", "N": "neutral", "T": "sad",
}  # fmt: skip
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute Abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
SPEAKERS = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
    "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip

# Published utterances of each speaker and emotion, in the order of `EMOTIONS`.
PUBLISHED = {
    "03": (14, 5, 1, 4, 7, 11, 7),
    "08": (12, 10, 0, 6, 11, 10, 9),
    "09": (13, 4, 8, 1, 4, 9, 4),
    "10": (10, 8, 1, 8, 4, 4, 3),
    "11": (11, 8, 2, 10, 8, 9, 7),
    "12": (12, 5, 2, 6, 2, 4, 4),
    "13": (12, 10, 8, 7, 10, 9, 5),
    "14": (16, 8, 8, 12, 8, 7, 10),
    "15": (13, 9, 5, 8, 6, 11, 4),
    "16": (14, 14, 11, 7, 11, 5, 9),
}

EMO_DB = ActedTable(
    title="EMO-DB",
    language="de",
    license="that of EMO-DB (http://emodb.bilderbar.info)",
    holds="recordings such as 03a01Fa.wav",
    pattern=r".*/(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[a-z])(?P<take>[a-z])",
    name="{speaker}{sentence}{emotion}{take}",
    codes={"speaker": SPEAKERS, "sentence": SENTENCES, "emotion": EMOTIONS},
    protocols={
        "leave-one-speaker-out": Protocol("Leave-one-speaker-out", rotate([(speaker,) for speaker in SPEAKERS]))
    },
    published=lambda options: {
        speaker: dict(zip(EMOTIONS.values(), counts, strict=True)) for speaker, counts in PUBLISHED.items()
    },
)


def scan(root: str | Path | None, options: ActedScanOptions) -> Scan:
    """Scan a copy, see `scan_acted`."""
    return scan_acted(EMO_DB, root, options)
