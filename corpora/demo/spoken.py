"""The sentences, voices and faces of the spoken demonstration corpus (ours).

The voice carries arousal and the words carry valence; the emotion is the pair, a quadrant of Russell's circumplex
(Russell 1980). Turns come in groups of four, one per emotion: a positive and a negative sentence that differ in one
word, each in the same excited and the same subdued manner of speaking. Every text is spoken equally often in an excited
and a subdued manner, and every manner has equally many positive and negative texts: text or manner alone predicts half of
the emotions at best, both together predict all.

With video, the bearing of a drawn face (`face.py`) carries dominance, independent of words and voice. The emotion is then
an octant of pleasure, arousal and dominance (Mehrabian 1996): every missing modality halves the best accuracy.
"""

import itertools
import random
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..schema import GENDERS, SPLITS
from . import espeak, face

TURNS = 8  # turns per dialogue

LABELS = ("angry", "happy", "sad", "calm")
EMOTIONS = {
    ("high", "negative"): "angry",
    ("high", "positive"): "happy",
    ("low", "negative"): "sad",
    ("low", "positive"): "calm",
}
# With faces: valence (Mehrabian's pleasure), arousal and dominance.
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
VALENCE = {"positive": 4.5, "negative": 1.5}  # the pole of the word, on the scale of `vad`; not a rating

# A female and a male voice in every session, in the order of `GENDERS`. Voices differ more in pitch than manners do, so a high pitch alone does not
# mean excited. A fast tempo does, so voices with a tempo of their own (anika, Andrea) are left out. A small model needs
# about eighteen training voices to generalise to a new one.
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
GENDER_OF = {f"Spk{number:02d}": gender for number, gender in enumerate(GENDERS * len(SESSIONS), start=1)}
BLOCK = 8 * len(SESSIONS)  # one sentence per session, in two wordings and two manners, by two speakers
VIDEO_BLOCK = 2 * BLOCK  # times two bearings

# Positive and negative words, in pairs with the same number of syllables. The two poles share most of their sounds, so
# that rhythm and timbre do not reveal them to a model that cannot recognise words. All splits share the words.
MOODS = (
    ("good", "grim"), ("lovely", "ugly"), ("charming", "painful"), ("brilliant", "wretched"), ("stunning", "nasty"),
    ("perfect", "shameful"), ("graceful", "hateful"), ("cheerful", "dismal"), ("excellent", "terrible"),
    ("amazing", "depressing"), ("delightful", "revolting"), ("wonderful", "hideous"),
)  # fmt: skip
FEELINGS = (("adored", "abhorred"), ("admired", "condemned"), ("praised", "cursed"), ("treasured", "disliked"))

# Neutral words for the other slots of the frames.
FILLERS = {
    "plain": ("yellow", "brown", "green", "purple", "orange", "striped", "spotted", "narrow"),
    "did": ("moved", "noticed", "counted", "carried", "measured", "sorted"),
    "name": ("Anna", "Martin", "Olga", "Peter", "Nina", "Victor", "Emma", "Oscar"),
    "place": ("near the station", "by the river", "behind the school", "at the market", "on the corner", "next door"),
    "time": ("on Monday", "this morning", "after lunch", "last night", "at noon", "last week"),
}

# Every frame has one {mood} or one {feeling}. No frame is in two splits.
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


class Turn(NamedTuple):
    """A turn before it is spoken: its row without the times, its prompt, and the speaker's face (None without video)."""

    row: dict
    prompt: espeak.Prompt
    portrait: tuple[face.Looks, face.Bearing] | None


def make_turns(utterances: int, seed: int, video: bool = False) -> Iterator[Turn]:
    """Yield all turns in the order in which they are spoken.

    Args:
        utterances: Number of turns.
        seed: Seed for sentences and manners of speaking.
        video: Whether turns have a face.
    """
    rng = random.Random(seed)
    decks = _shuffled(MOODS, rng), _shuffled(FEELINGS, rng)
    sentences = {split: _sentences(FRAMES[split], *decks, rng) for split in SPLITS}
    for session, (split, voices) in enumerate(SESSIONS):
        pairs = list(itertools.islice(sentences[split], utterances // (VIDEO_BLOCK if video else BLOCK)))
        monologues = [_shuffled(_lines(pairs, voice, rng, video), rng) for voice in voices]
        talk = itertools.chain.from_iterable(zip(*monologues, strict=True))  # the two speakers alternate
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
    """Yield sentences in a positive and a negative wording, without end."""
    moods, feelings = _deal(moods, rng), _deal(feelings, rng)
    for frame in itertools.cycle(frames):
        fillers = {slot: rng.choice(words) for slot, words in FILLERS.items()}
        pair = next(moods if "{mood}" in frame else feelings)
        positive, negative = (frame.format(mood=word, feeling=word, **fillers) for word in pair)
        yield positive, negative


def _deal(deck: list, rng: random.Random) -> Iterator:
    """Yield every item once, then again in another order. All splits begin with the same order, so train has all words."""
    while True:
        yield from deck
        deck = _shuffled(deck, rng)


def _lines(pairs: list[tuple[str, str]], voice: str, rng: random.Random, video: bool) -> Iterator[tuple]:
    """Yield label, `vad`, prompt and portrait of a speaker's turns.

    Both wordings are spoken in the same excited and the same subdued manner, and each of these four with the same
    dominant and the same submissive bearing.
    """
    looks = face.random_looks(rng) if video else None
    for pair in pairs:
        bearings = {pole: face.random_bearing(rng.uniform(*EXTREMES[pole]), rng) for pole in EXTREMES if video}
        for arousal, bounds in EXTREMES.items():
            strength = rng.uniform(*bounds)
            manner = random_manner(strength, rng)
            for valence, text in zip(("positive", "negative"), pair, strict=True):
                vad = {"valence": VALENCE[valence], "arousal": round(strength, 3), "dominance": None}
                prompt = espeak.Prompt(text, voice, **manner)
                if not video:
                    yield EMOTIONS[arousal, valence], vad, prompt, None
                for pole, bearing in bearings.items():
                    vad = vad | {"dominance": round(bearing.dominance, 3)}
                    yield OCTANTS[valence, arousal, pole], vad, prompt, (looks, bearing)


def random_manner(strength: float, rng: random.Random) -> dict[str, int]:
    """Return the arguments of `espeak.Prompt` for a manner of speaking.

    Args:
        strength: Arousal, from 1 (subdued) to 5 (excited).
        rng: Source of small deviations.
    """
    return {
        "rate": round(80 + 45 * strength + rng.uniform(-5, 5)),
        "pitch": round(50 + 6 * (strength - 3) + rng.uniform(-4, 4)),
        "pitch_range": round(50 + 20 * (strength - 3) + rng.uniform(-8, 8)),
        "volume": round(14 + 12 * strength + rng.uniform(-3, 3)),
    }


def _shuffled(items: Iterable, rng: random.Random) -> list:
    items = list(items)
    rng.shuffle(items)
    return items
