"""RAVDESS (Livingstone and Russo 2018): 24 actors speak and sing two sentences in eight emotions.

    Actor_01/03-01-01-01-01-01-01.wav   Actor_01/01-01-01-01-01-01-01.mp4   Actor_01/02-01-01-01-01-01-01.mp4

A name is modality, channel, emotion, intensity, sentence, repetition and actor. An id is the name without the modality: the
recording, the video and the silent video are files of one utterance.
"""

from dataclasses import dataclass
from pathlib import Path

from ..records import Scan
from .scan import scan_acted
from .table import ALL, ActedTable, FilmedScanOptions, Protocol, choice, rotate

EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgusted", "08": "surprised",
}  # fmt: skip
CHANNELS = {"01": "speech", "02": "song"}
SUNG = ("01", "02", "03", "04", "05", "06")
INTENSITIES = {"01": "normal", "02": "strong"}  # neutral has no strong intensity
SENTENCES = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}
REPETITIONS = {"01": "first", "02": "second"}
MODALITIES = {"01": "video with sound", "02": "video without sound", "03": "recording"}
SPEAKERS = tuple(f"{number:02d}" for number in range(1, 25))
SILENT_SINGER = "18"  # there are no songs of this actor
SEPARATE, NEUTRAL, DROPPED = "separate", "neutral", "dropped"

# Test actors of each fold in https://github.com/cristinalunaj/MMEmotionRecognition (Luna-Jimenez et al. 2021).
FIVE_FOLDS = (
    ("02", "05", "14", "15", "16"),
    ("03", "06", "07", "13", "18"),
    ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"),
    ("01", "04", "09", "22"),
)
# Test actors of each fold in https://github.com/emo-box/EmoBox (Ma et al. 2024).
SIX_FOLDS = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)


@dataclass(frozen=True, kw_only=True)
class RavdessScanOptions(FilmedScanOptions):
    """Options that determine a prepared RAVDESS."""

    channel: str = choice("speech", *CHANNELS.values(), ALL, text="speech, song or all.")
    intensity: str = choice(
        ALL, ALL, *INTENSITIES.values(), text="all, normal or strong; neutral has no strong intensity."
    )
    calm: str = choice(
        SEPARATE, SEPARATE, NEUTRAL, DROPPED, text="Calm is a class (separate), counts as neutral, or is dropped."
    )


def _labels(options: RavdessScanOptions) -> dict[str, str]:
    """Return the labels of the emotions that the options leave."""
    labels = {code: EMOTIONS[code] for code in (EMOTIONS if options.channel != "song" else SUNG)}
    if options.calm == NEUTRAL:
        labels["02"] = EMOTIONS["01"]
    elif options.calm == DROPPED:
        del labels["02"]
    if options.intensity == "strong":
        del labels["01"]
    return labels


def _published(options: RavdessScanOptions) -> dict[str, dict[str, int]]:
    """Return the published counts: two sentences in two repetitions, for each channel and intensity of an emotion."""
    channels = list(CHANNELS.values()) if options.channel == ALL else [options.channel]
    counts = {speaker: {} for speaker in SPEAKERS}
    for code, label in _labels(options).items():
        for speaker, own in counts.items():
            spoken = sum(channel == "speech" or (code in SUNG and speaker != SILENT_SINGER) for channel in channels)
            intensities = 1 if code == "01" or options.intensity != ALL else len(INTENSITIES)
            own[label] = own.get(label, 0) + spoken * intensities * len(SENTENCES) * len(REPETITIONS)
    return {speaker: own for speaker, own in counts.items() if any(own.values())}


RAVDESS = ActedTable(
    title="RAVDESS",
    language="en",
    license="CC BY-NC-SA 4.0",
    holds="recordings such as 03-01-06-01-02-01-12.wav",
    pattern=r".*/(?:(?P<modality>\d\d)-)?(?P<channel>\d\d)-(?P<emotion>\d\d)-(?P<intensity>\d\d)-(?P<sentence>\d\d)"
    r"-(?P<take>\d\d)-(?P<speaker>\d\d)",
    name="{channel}-{emotion}-{intensity}-{sentence}-{take}-{speaker}",
    codes={
        "modality": MODALITIES | {"": "recording"},
        "channel": CHANNELS,
        "emotion": EMOTIONS,
        "intensity": INTENSITIES,
        "sentence": SENTENCES,
        "take": REPETITIONS,
        "speaker": {speaker: "male" if int(speaker) % 2 else "female" for speaker in SPEAKERS},
    },
    sound=("03", "", "01"),
    protocols={
        "five-folds": Protocol("The five folds by actor of Luna-Jiménez et al. (2021)", rotate(FIVE_FOLDS)),
        "six-folds": Protocol("The six folds by actor of EmoBox (Ma et al. 2024)", rotate(SIX_FOLDS)),
        "leave-one-speaker-out": Protocol("Leave-one-speaker-out", rotate([(speaker,) for speaker in SPEAKERS])),
    },
    labels=_labels,
    published=_published,
)


def scan(root: str | Path | None, options: RavdessScanOptions) -> Scan:
    """Scan a copy, see `scan_acted`."""
    return scan_acted(RAVDESS, root, options)
