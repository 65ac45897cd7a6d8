"""The embedded demonstration corpus, spoken by espeak-ng: fusion made visible (ours).

The voice carries arousal and the words carry valence; the emotion is the pair, a quadrant of Russell's circumplex
(Russell 1980). Turns come in groups of four, one per emotion: a positive and a negative sentence that differ in one
word, each said in the same excited manner and the same subdued manner. A text is thus as often excited as subdued, and
a manner as often positive as negative: neither tells more than half of the emotions, and both together tell all.

With `video=True` the bearing of a drawn face (`face.py`) carries dominance as well, independent of words and voice. The
emotion is then an octant of pleasure, arousal and dominance (Mehrabian 1996): every modality that is left out halves
what can be told.
"""

import hashlib
import itertools
import json
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import datasets
from tqdm.auto import tqdm

from ..alignment import syllables_from_phones
from ..folds import describe_speaker_fold, list_speaker_folds, split_by_speaker
from ..schema import SPLITS, features
from . import espeak, face

VERSION = 1  # raise it whenever the same options give another corpus
SAMPLING_RATE = 16000  # Hz
PAUSE = 0.5  # seconds between the turns of a dialogue
TURNS = 8  # per dialogue
SECONDS_SEEN = 1.0  # of a film, in its middle: the length would tell the pace of the voice, and so arousal

LABELS = ("angry", "happy", "sad", "calm")
EMOTIONS = {
    ("high", "negative"): "angry",
    ("high", "positive"): "happy",
    ("low", "negative"): "sad",
    ("low", "positive"): "calm",
}
# With faces: valence, which Mehrabian calls pleasure, arousal and dominance.
OCTANTS = {
    ("positive", "high", "high"): "exuberant",
    ("positive", "high", "low"): "dependent",
    ("positive", "low", "high"): "relaxed",
    ("positive", "low", "low"): "docile",
    ("negative", "high", "high"): "hostile",
    ("negative", "high", "low"): "anxious",
    ("negative", "low", "high"): "disdainful",
    ("negative", "low", "low"): "bored",
}
EXTREMES = {"high": (4.2, 5.0), "low": (1.0, 1.8)}  # ranges of arousal and dominance, on the scale of `vad`
VALENCE = {"positive": 4.5, "negative": 1.5}  # the pole of the word, on the scale of `vad`; nobody rated it

# A woman and a man in every session. Voices differ more in pitch than manners do, so that high is not excited; voices
# with a tempo of their own (anika, Andrea) are left out, for fast is. Eighteen voices to learn from are about what a
# small model needs before it copes with a new one.
SESSIONS = (
    ("train", ("en-us+f3", "en-us+m2")),
    ("train", ("en-us+steph", "en-us+Michael")),
    ("train", ("en-us+belinda", "en-us+adam")),
    ("train", ("en-us+f1", "en-us+m1")),
    ("train", ("en-us+linda", "en-us+m7")),
    ("train", ("en-us+Annie", "en-us+Andy")),
    ("train", ("en-us+aunty", "en-us+m4")),
    ("train", ("en-us+grandma", "en-us+boris")),
    ("train", ("en-us+Alicia", "en-us+gustave")),
    ("validation", ("en-us+f5", "en-us+m5")),
    ("validation", ("en-us+f4", "en-us+m6")),
    ("test", ("en-us+f2", "en-us+m3")),
    ("test", ("en-us+shelby", "en-us+robert")),
)
BLOCK = 8 * len(SESSIONS)  # one sentence in every session: two wordings, two manners, two speakers
VIDEO_BLOCK = 2 * BLOCK  # and two bearings

# Positive and negative words, in pairs of as many syllables; the two poles share most of their sounds, so that rhythm
# and timbre do not give them away to a model that cannot hear words. All splits share them.
MOODS = (
    ("good", "grim"), ("lovely", "ugly"), ("charming", "painful"), ("brilliant", "wretched"), ("stunning", "nasty"),
    ("perfect", "shameful"), ("graceful", "hateful"), ("cheerful", "dismal"), ("excellent", "terrible"),
    ("amazing", "depressing"), ("delightful", "revolting"), ("wonderful", "hideous"),
)  # fmt: skip
FEELINGS = (("adored", "abhorred"), ("admired", "condemned"), ("praised", "cursed"), ("treasured", "disliked"))

# Neutral words, in the places where a mood or a feeling stands elsewhere.
FILLERS = {
    "plain": ("yellow", "brown", "green", "purple", "orange", "striped", "spotted", "narrow"),
    "did": ("moved", "noticed", "counted", "carried", "measured", "sorted"),
    "name": ("Anna", "Martin", "Olga", "Peter", "Nina", "Victor", "Emma", "Oscar"),
    "place": ("near the station", "by the river", "behind the school", "at the market", "on the corner", "next door"),
    "time": ("on Monday", "this morning", "after lunch", "last night", "at noon", "last week"),
}

# Every sentence holds one {mood} or one {feeling}. No frame is in two splits.
FRAMES = {
    "train": (
        "The {plain} lamp {place} looks {mood}.",
        "{name} baked that {mood} {plain} cake.",
        "We {feeling} the {plain} sofa and {did} the rug.",
        "Your {mood} coat is the {plain} one.",
        "{name} says the {plain} chairs are {mood}.",
        "Those {mood} shoes were {plain} {time}.",
        "{name} {did} the boxes and {feeling} the books.",
        "These {plain} curtains are so {mood}.",
        "What {mood} music they play {place}.",
        "The {plain} bus was {mood} {time}.",
        "They {feeling} our play and {did} the {plain} tickets.",
        "The {mood} neighbors have {plain} roses.",
    ),
    "validation": (
        "That {plain} bridge {place} is {mood}.",
        "Our {mood} teacher wore {plain} gloves {time}.",
        "{name} gave me the {mood} {plain} mug.",
        "{name} {feeling} the letters and {did} the {plain} stamps.",
    ),
    "test": (
        "The {plain} tent smelled {mood} {time}.",
        "{name} sang that {mood} song {place}.",
        "This {mood} kitten naps on the {plain} pillow.",
        "I hear your {plain} bicycle is {mood}.",
        "The dinner {place} was {mood} {time}.",
        "{name} {did} the {plain} picture and {feeling} the frame.",
    ),
}

README = """\
# Spoken demonstration corpus

Spoken by the espeak-ng synthesiser for emofusion (`corpora/demo/spoken.py`, version {version}, utterances={utterances},
seed={seed}).

**This is a demonstration, never a benchmark.** Nobody in it feels anything. A rule makes the emotion: {rule} (A speech model that recognises words hears the text too.) It shows whether a fusion model fuses; it
says nothing about people.

- `metadata.jsonl`: one row per recording, in the Hub's AudioFolder convention. `alignment` has the words and phones
  (IPA) with their times in seconds, as the synthesiser made them; words that it runs together share one entry. `vad`
  has {vad}; they are not ratings.
- `audio/`: 16 kHz mono FLAC, 16 bits.
{faces}- Splits: sessions 1 to 9 are train, 10 and 11 validation, 12 and 13 test. Neither a speaker nor a sentence frame is in two splits.
"""
VOICE_README = {
    "rule": """an excited
manner (high, lively, fast, loud) or a subdued one, and a positive or a negative word. Angry is excited and negative,
happy excited and positive, sad subdued and negative, calm subdued and positive. Every text is said in both manners and
every manner says both wordings, so the manner alone or the text alone tells half of the emotions at best, and both
together tell all.""",
    "vad": "the drawn arousal and the pole of the word, 1.5 or 4.5",
    "faces": "",
}
VIDEO_README = {
    "rule": """a positive
or a negative word (pleasure), an excited manner of speaking (high, lively, fast, loud) or a subdued one (arousal), and a
dominant or a submissive bearing of the face. The eight combinations are named after Mehrabian's octants: exuberant +++,
dependent ++-, relaxed +-+, docile +--, hostile -++, anxious -+-, disdainful --+, bored ---. Text, manner and bearing do
not depend on each other: one of them tells a quarter of the emotions at best, two tell half, all three tell all.""",
    "vad": "the pole of the word, 1.5 or 4.5, and the drawn arousal and dominance",
    "faces": """- `video/`: MP4 (H.264), 64 x 64 pixels, 10 pictures a second: a drawn face. Its mouth opens with the loudness of the
  voice, relative to the recording's own mean. Raised head, broad shoulders, low brows and a gaze at the viewer stand for
  dominance; a bowed and tilted head, narrow shoulders, raised inner brows and averted eyes for submission. Colours and
  size are the speaker's; position and a slight tilt vary by chance. Films are as long as their recordings, but rows show
  the second in the middle only, because the length would tell the pace of the voice.
""",
}


def about(video: bool = False, speaker_folds: int | None = None, fold: int = 1, **options) -> dict:
    """What is to be said of the corpus where results on it are shown.

    Args:
        video: As in `load`.
        speaker_folds: As in `load`.
        fold: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    protocol = "Train, validation and test share neither a speaker nor a sentence frame."
    return {
        "title": "the spoken demonstration corpus" + (" with faces" if video else ""),
        "demonstration": True,
        "protocol": describe_speaker_fold(speaker_folds, fold) if speaker_folds else protocol,
        "speaker_independent": True,
    }


def list_folds(speaker_folds: int | None = None, **options) -> list[dict]:
    """The folds, as the options of `load` that choose them.

    Args:
        speaker_folds: As in `load`.
        options: Others of `load`, which change nothing here.
    """
    return list_speaker_folds(speaker_folds)


class Turn(NamedTuple):
    """A turn before it is spoken: its row without the times, how to say it, and who is seen (None: nobody)."""

    row: dict
    prompt: espeak.Prompt
    portrait: tuple[face.Looks, face.Bearing] | None


def load(
    root: str | Path | None = None,
    utterances: int = 1040,
    seed: int = 0,
    video: bool = False,
    speaker_folds: int | None = None,
    fold: int = 1,
) -> datasets.DatasetDict:
    """Load the demonstration corpus; the first time with these options, make it (some seconds, a minute with faces).

    Args:
        root: Folder that holds the corpus, in a subfolder per choice of options; None for the cache of `datasets`.
        utterances: Size of the corpus, a multiple of 104 (208 with faces), which is shared out evenly among thirteen
            sessions.
        seed: What is said and how is drawn from it. The same seed gives the same recordings to the bit.
        video: Whether a face is drawn for every utterance, and the emotions are the eight of `OCTANTS`.
        speaker_folds: So many folds by speaker take the place of the splits; the 26 speakers then share the sentences.
        fold: Which of them, from 1.

    Raises:
        ValueError: If `utterances` is not such a positive multiple, or there is no such fold.
        ImportError: If `espeakng_loader` is not installed.
    """
    block = VIDEO_BLOCK if video else BLOCK
    if not isinstance(utterances, int) or utterances < block or utterances % block:
        raise ValueError(f"utterances must be a positive multiple of {block} to be balanced, not {utterances!r}.")
    options = {"version": VERSION, "utterances": utterances, "seed": seed}
    options |= {"video": True} if video else {}
    root = Path(datasets.config.HF_DATASETS_CACHE) / "emofusion" if root is None else Path(root)
    folder = root / f"spoken-{hashlib.sha256(json.dumps(options).encode()).hexdigest()[:12]}"
    if not folder.exists():
        _make(folder, **options)
    corpus = _read(folder, OCTANTS.values() if video else LABELS)
    return corpus if speaker_folds is None else split_by_speaker(corpus, speaker_folds, fold)


def _read(folder: Path, labels: Iterable[str]) -> datasets.DatasetDict:
    schema = features(list(labels))
    rows = {split: [] for split in SPLITS}
    with open(folder / "metadata.jsonl", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            alignment = row["alignment"]
            alignment["syllable"] = syllables_from_phones(alignment["phone"], alignment["word"])
            files = {"audio": row.pop("file_name"), "video": row.pop("video_file_name", None)}
            media = {name: {"path": str(folder.absolute() / file)} for name, file in files.items() if file}
            if "video" in media:
                start = max(0.0, (row["end"] - row["start"] - SECONDS_SEEN) / 2)
                media["video"] |= {"start": start, "end": start + SECONDS_SEEN}
            rows[row.pop("split")].append({**dict.fromkeys(schema), **row, **media})
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows[split], features=schema) for split in SPLITS})


def _make(folder: Path, version: int, utterances: int, seed: int, video: bool = False) -> None:
    """Speak the corpus next to `folder` and move it there when it is whole."""
    about_it = {"version": version, "utterances": utterances, "seed": f"{seed}, video=True" if video else seed}
    about_it |= VIDEO_README if video else VOICE_README
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spoken-", dir=folder.parent) as workshop:
        draft = Path(workshop, folder.name)
        (draft / "audio").mkdir(parents=True)
        if video:
            (draft / "video").mkdir()
        _speak(draft, list(_turns(utterances, seed, video)))
        (draft / "README.md").write_text(README.format(**about_it), encoding="utf-8")
        try:
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same bits
                raise


def _speak(folder: Path, turns: list[Turn]) -> None:
    """Write every turn's recording, and the metadata with the times that only speaking can tell."""
    import soundfile

    clock = 0.0  # seconds
    with open(folder / "metadata.jsonl", "w", encoding="utf-8") as metadata:
        speeches = espeak.speak([prompt for _, prompt, _ in turns])
        for (row, _, portrait), speech in zip(
            tqdm(turns, desc="Speaking the demonstration corpus"), speeches, strict=True
        ):
            samples = speech.waveform(SAMPLING_RATE)
            soundfile.write(folder / row["file_name"], samples, SAMPLING_RATE, subtype="PCM_16")
            if portrait:
                face.film(folder / row["video_file_name"], *portrait, samples, SAMPLING_RATE)
            start = clock if row["turn"] else 0.0
            end = start + len(samples) / SAMPLING_RATE
            clock = end + PAUSE
            alignment = {"word": _columns(speech.words), "phone": _columns(speech.phones)}
            row = {**row, "start": start, "end": end, "alignment": alignment}
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")


def _columns(segments: list[espeak.Segment]) -> dict[str, list]:
    return {field: [getattr(segment, field) for segment in segments] for field in espeak.Segment._fields}


def _turns(utterances: int, seed: int, video: bool = False) -> Iterator[Turn]:
    """All turns in the order in which they are spoken."""
    rng = random.Random(seed)
    decks = _shuffled(MOODS, rng), _shuffled(FEELINGS, rng)
    sentences = {split: _sentences(FRAMES[split], *decks, rng) for split in SPLITS}
    for session, (split, voices) in enumerate(SESSIONS):
        pairs = list(itertools.islice(sentences[split], utterances // (VIDEO_BLOCK if video else BLOCK)))
        monologues = [_shuffled(_lines(pairs, voice, rng, video), rng) for voice in voices]
        talk = itertools.chain.from_iterable(zip(*monologues, strict=True))  # the two take turns
        for number, (label, vad, prompt, portrait) in enumerate(talk):
            dialogue, turn = f"Ses{session + 1:02d}_{number // TURNS + 1:02d}", number % TURNS
            speaker = 2 * session + number % 2 + 1
            name = f"{dialogue}_Spk{speaker:02d}_{turn:02d}"
            row = {
                "file_name": f"audio/{name}.flac",
                "id": name,
                "text": prompt.text,
                "label": label,
                "speaker": f"Spk{speaker:02d}",
                "session": f"Ses{session + 1:02d}",
                "dialogue": dialogue,
                "turn": turn,
                "split": split,
                "vad": vad,
            }
            yield Turn(row | {"video_file_name": f"video/{name}.mp4"} if portrait else row, prompt, portrait)


def _sentences(frames: tuple[str, ...], moods: list, feelings: list, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Sentences in a positive and a negative wording, without end."""
    moods, feelings = _deal(moods, rng), _deal(feelings, rng)
    for frame in itertools.cycle(frames):
        fillers = {slot: rng.choice(words) for slot, words in FILLERS.items()}
        pair = next(moods if "{mood}" in frame else feelings)
        positive, negative = (frame.format(mood=word, feeling=word, **fillers) for word in pair)
        yield positive, negative


def _deal(deck: list, rng: random.Random) -> Iterator:
    """Every item once, then again in another order. All splits begin alike, so train knows the words of all."""
    while True:
        yield from deck
        deck = _shuffled(deck, rng)


def _lines(pairs: list[tuple[str, str]], voice: str, rng: random.Random, video: bool) -> Iterator[tuple]:
    """Label, `vad`, prompt and portrait of a speaker's turns.

    Both wordings are said in the same excited and the same subdued manner, and each of these four with the same
    dominant and the same submissive bearing.
    """
    looks = face.random_looks(rng) if video else None
    for pair in pairs:
        bearings = {pole: face.random_bearing(rng.uniform(*EXTREMES[pole]), rng) for pole in EXTREMES if video}
        for arousal, bounds in EXTREMES.items():
            strength = rng.uniform(*bounds)
            manner = {
                "rate": round(80 + 45 * strength + rng.uniform(-5, 5)),
                "pitch": round(50 + 6 * (strength - 3) + rng.uniform(-4, 4)),
                "pitch_range": round(50 + 20 * (strength - 3) + rng.uniform(-8, 8)),
                "volume": round(14 + 12 * strength + rng.uniform(-3, 3)),
            }
            for valence, text in zip(("positive", "negative"), pair, strict=True):
                vad = {"valence": VALENCE[valence], "arousal": round(strength, 3), "dominance": None}
                prompt = espeak.Prompt(text, voice, **manner)
                if not video:
                    yield EMOTIONS[arousal, valence], vad, prompt, None
                for pole, bearing in bearings.items():
                    vad = vad | {"dominance": round(bearing.dominance, 3)}
                    yield OCTANTS[valence, arousal, pole], vad, prompt, (looks, bearing)


def _shuffled(items: Iterable, rng: random.Random) -> list:
    items = list(items)
    rng.shuffle(items)
    return items
