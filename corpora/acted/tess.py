"""TESS (Pichora-Fuller and Dupuis 2010): two women, 26 and 64 years old, say 200 words in a carrier phrase, in seven emotions.

OAF_angry/OAF_back_angry.wav: the older woman says "Say the word back" in anger; or all files in one folder
"""

from pathlib import Path

from ..records import Scan
from .scan import scan_acted
from .table import ActedScanOptions, ActedTable, Part, Protocol

EMOTIONS = {
    "angry": "angry", "disgust": "disgusted", "fear": "fearful", "happy": "happy", "neutral": "neutral", "sad": "sad",
    "ps": "surprised",  # pleasantly
}  # fmt: skip
WORDS_SAID = """
back bar base bath bean beg bite boat bone book bought burn cab calm came cause chain chair chalk chat check cheek
chief choice cool dab date dead death deep dime dip ditch dodge dog doll door fail fall far fat fit five food gap gas
gaze germ get gin goal good goose gun half hall hash hate have haze hire hit hole home hurl hush jail jar join judge
jug juice keen keep keg kick kill king kite knock late laud lean learn lease lid life limb live loaf long lore lose
lot love luck make match merge mess met mill mob mode mood moon mop mouse nag name near neat nice note numb pad page
pain pass pearl peg perch phone pick pike pole pool puff rag raid rain raise rat reach read red ring ripe road room
rose rot rough rush said sail search seize sell shack shall shawl sheep shirt should shout size soap soup sour south
sub such sure take talk tape team tell thin third thought thumb time tip tire ton tool tough turn vine voice void vote
wag walk wash week wheat when which whip white wife wire witch yearn yes young youth
"""
WORDS = tuple(WORDS_SAID.split())
SPEAKERS = dict.fromkeys(("OAF", "YAF"), "female")
VALIDATION = WORDS[::10]  # words of the training speaker, if the other is the test split
GROUPS = [WORDS[number::5] for number in range(5)]  # of words


def _leave_one_speaker_out() -> list[dict[str, Part]]:
    """Return a fold for each test speaker; every tenth word of the other is the validation split."""
    folds = []
    for test, other in (SPEAKERS, tuple(SPEAKERS)[::-1]):
        train = Part((other,), [word for word in WORDS if word not in VALIDATION])
        folds.append({"train": train, "validation": Part((other,), VALIDATION), "test": Part((test,))})
    return folds


def _leave_words_out() -> list[dict[str, Part]]:
    """Return a fold for each group of words, with both speakers in every split; the next group is the validation split."""
    folds = []
    for number, test in enumerate(GROUPS):
        validation = GROUPS[(number + 1) % len(GROUPS)]
        train = [word for word in WORDS if word not in (*test, *validation)]
        chosen = {"train": train, "validation": validation, "test": test}
        folds.append({split: Part(tuple(SPEAKERS), words) for split, words in chosen.items()})
    return folds


TESS = ActedTable(
    title="TESS",
    language="en",
    license="CC BY-NC-ND 4.0",
    holds="recordings such as OAF_back_angry.wav",
    pattern=r".*/(?P<speaker>[a-z]{2,3})_(?P<sentence>[a-z]+)_(?P<emotion>[a-z_]+)",
    name="{speaker}_{sentence}_{emotion}",
    codes={
        "speaker": SPEAKERS,
        "sentence": {word: f"Say the word {word}." for word in WORDS},
        "emotion": EMOTIONS,
    },
    aliases={
        "oa": "oaf",  # OA_bite_neutral.wav in the published files
        **dict.fromkeys(("pleasant_surprise", "pleasant_surprised", "surprise", "surprised"), "ps"),
        "anger": "angry",
        "fearful": "fear",
        "happiness": "happy",
        "sadness": "sad",
    },
    protocols={
        "leave-one-speaker-out": Protocol("Leave-one-speaker-out", _leave_one_speaker_out()),
        "leave-words-out": Protocol("Five folds by word, with both speakers in every split", _leave_words_out()),
    },
    published=lambda options: {speaker: dict.fromkeys(EMOTIONS.values(), len(WORDS)) for speaker in SPEAKERS},
    known=dict.fromkeys(
        ("YAF_germ_angry", "YAF_neat_fear"), "its published WAV file has a header that some programs refuse"
    ),
)


def scan(root: str | Path | None, options: ActedScanOptions) -> Scan:
    """Scan a copy, see `scan_acted`."""
    return scan_acted(TESS, root, options)
