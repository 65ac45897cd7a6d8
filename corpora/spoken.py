"""The embedded demonstration corpus, spoken by espeak-ng: fusion made visible (ours).

The voice carries arousal and the words carry valence; the emotion is the pair, a quadrant of Russell's circumplex
(Russell 1980). Turns come in groups of four, one per emotion: a positive and a negative sentence that differ in one
word, each said in the same excited manner and the same subdued manner. A text is thus as often excited as subdued, and
a manner as often positive as negative: neither tells more than half of the emotions, and both together tell all.
"""

import hashlib
import itertools
import json
import os
import random
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import datasets
from tqdm.auto import tqdm

from . import espeak
from .schema import SPLITS, features

ABOUT = {
    "title": "the spoken demonstration corpus",
    "demonstration": True,
    "protocol": "Train, validation and test share neither a speaker nor a sentence frame.",
}

VERSION = 1  # raise it whenever the same options give another corpus
SAMPLING_RATE = 16000  # Hz
PAUSE = 0.5  # seconds between the turns of a dialogue
TURNS = 8  # per dialogue

LABELS = ("angry", "happy", "sad", "calm")
EMOTIONS = {
    ("high", "negative"): "angry",
    ("high", "positive"): "happy",
    ("low", "negative"): "sad",
    ("low", "positive"): "calm",
}
AROUSAL = {"high": (4.2, 5.0), "low": (1.0, 1.8)}  # drawn from these ranges, on the scale of `vad`
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

Spoken by the espeak-ng synthesiser for emofusion (`corpora/spoken.py`, version {version}, utterances={utterances},
seed={seed}).

**This is a demonstration, never a benchmark.** Nobody in it feels anything. A rule makes the emotion: an excited
manner (high, lively, fast, loud) or a subdued one, and a positive or a negative word. Angry is excited and negative,
happy excited and positive, sad subdued and negative, calm subdued and positive. Every text is said in both manners and
every manner says both wordings, so the manner alone or the text alone tells half of the emotions at best, and both
together tell all. (A speech model that recognises words hears the text too.) It shows whether a fusion model fuses; it
says nothing about people.

- `metadata.jsonl`: one row per recording, in the Hub's AudioFolder convention. `alignment` has the words and phones
  (IPA) with their times in seconds, as the synthesiser made them; words that it runs together share one entry. `vad`
  has the drawn arousal and the pole of the word, 1.5 or 4.5; they are not ratings.
- `audio/`: 16 kHz mono FLAC, 16 bits.
- Splits: sessions 1 to 9 are train, 10 and 11 validation, 12 and 13 test. Neither a speaker nor a sentence frame is in two splits.
"""


def load(root: str | Path | None = None, utterances: int = 1040, seed: int = 0) -> datasets.DatasetDict:
    """Load the demonstration corpus; the first time with these options, speak it (some seconds).

    Args:
        root: Folder that holds the corpus, in a subfolder per choice of options; None for the cache of `datasets`.
        utterances: Size of the corpus, a multiple of 104, which is shared out evenly among thirteen sessions.
        seed: What is said and how is drawn from it. The same seed gives the same recordings to the bit.

    Raises:
        ValueError: If `utterances` is not a positive multiple of 104.
        ImportError: If `espeakng_loader` is not installed.
    """
    if not isinstance(utterances, int) or utterances < BLOCK or utterances % BLOCK:
        raise ValueError(f"utterances must be a positive multiple of {BLOCK} to be balanced, not {utterances!r}.")
    options = {"version": VERSION, "utterances": utterances, "seed": seed}
    root = Path(datasets.config.HF_DATASETS_CACHE) / "emofusion" if root is None else Path(root)
    folder = root / f"spoken-{hashlib.sha256(json.dumps(options).encode()).hexdigest()[:12]}"
    if not folder.exists():
        _make(folder, options)
    return _read(folder)


def _read(folder: Path) -> datasets.DatasetDict:
    schema = features(LABELS)
    rows = {split: [] for split in SPLITS}
    with open(folder / "metadata.jsonl", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            audio = {"path": str(folder.absolute() / row.pop("file_name"))}
            rows[row.pop("split")].append({**dict.fromkeys(schema), **row, "audio": audio})
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows[split], features=schema) for split in SPLITS})


def _make(folder: Path, options: dict) -> None:
    """Speak the corpus next to `folder` and move it there when it is whole."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".spoken-", dir=folder.parent) as workshop:
        draft = Path(workshop, folder.name)
        (draft / "audio").mkdir(parents=True)
        _speak(draft, list(_turns(options["utterances"], options["seed"])))
        (draft / "README.md").write_text(README.format(**options), encoding="utf-8")
        try:
            os.replace(draft, folder)
        except OSError:
            if not folder.exists():  # else another process was first, with the same bits
                raise


def _speak(folder: Path, turns: list[tuple[dict, espeak.Prompt]]) -> None:
    """Write every turn's recording, and the metadata with the times that only speaking can tell."""
    import numpy as np
    import soundfile
    import soxr

    clock = 0.0  # seconds
    with open(folder / "metadata.jsonl", "w", encoding="utf-8") as metadata:
        speeches = espeak.speak([prompt for _, prompt in turns])
        for (row, _), speech in zip(tqdm(turns, desc="Speaking the demonstration corpus"), speeches, strict=True):
            samples = np.frombuffer(speech.samples, dtype="<i2").astype(np.float32) / 2**15
            samples = soxr.resample(samples, espeak.SAMPLING_RATE, SAMPLING_RATE)
            soundfile.write(folder / row["file_name"], samples, SAMPLING_RATE, subtype="PCM_16")
            start = clock if row["turn"] else 0.0
            end = start + len(samples) / SAMPLING_RATE
            clock = end + PAUSE
            alignment = {"word": _columns(speech.words), "phone": _columns(speech.phones)}
            row = {**row, "start": start, "end": end, "alignment": alignment}
            metadata.write(json.dumps(row, ensure_ascii=False) + "\n")


def _columns(segments: list[espeak.Segment]) -> dict[str, list]:
    return {field: [getattr(segment, field) for segment in segments] for field in espeak.Segment._fields}


def _turns(utterances: int, seed: int) -> Iterator[tuple[dict, espeak.Prompt]]:
    """Rows without their times, and how to say them, in the order in which they are spoken."""
    rng = random.Random(seed)
    decks = _shuffled(MOODS, rng), _shuffled(FEELINGS, rng)
    sentences = {split: _sentences(FRAMES[split], *decks, rng) for split in SPLITS}
    for session, (split, voices) in enumerate(SESSIONS):
        pairs = list(itertools.islice(sentences[split], utterances // BLOCK))
        monologues = [_shuffled(_lines(pairs, voice, rng), rng) for voice in voices]
        talk = itertools.chain.from_iterable(zip(*monologues, strict=True))  # the two take turns
        for number, (label, vad, prompt) in enumerate(talk):
            dialogue, turn = f"Ses{session + 1:02d}_{number // TURNS + 1:02d}", number % TURNS
            speaker = 2 * session + number % 2 + 1
            name = f"{dialogue}_Spk{speaker:02d}_{turn:02d}"
            yield (
                {
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
                },
                prompt,
            )


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


def _lines(pairs: list[tuple[str, str]], voice: str, rng: random.Random) -> Iterator[tuple[str, dict, espeak.Prompt]]:
    """Label, `vad` and prompt of a speaker's turns: both wordings in the same excited and the same subdued manner."""
    for pair in pairs:
        for arousal, bounds in AROUSAL.items():
            strength = rng.uniform(*bounds)
            manner = {
                "rate": round(80 + 45 * strength + rng.uniform(-5, 5)),
                "pitch": round(50 + 6 * (strength - 3) + rng.uniform(-4, 4)),
                "pitch_range": round(50 + 20 * (strength - 3) + rng.uniform(-8, 8)),
                "volume": round(14 + 12 * strength + rng.uniform(-3, 3)),
            }
            for valence, text in zip(("positive", "negative"), pair, strict=True):
                vad = {"valence": VALENCE[valence], "arousal": round(strength, 3), "dominance": None}
                yield EMOTIONS[arousal, valence], vad, espeak.Prompt(text, voice, **manner)


def _shuffled(items: Iterable, rng: random.Random) -> list:
    items = list(items)
    rng.shuffle(items)
    return items
