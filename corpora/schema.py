"""The schema of every corpus: the columns of a row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..configuration.modalities import SPAN_LEVELS

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test")
LEVELS = SPAN_LEVELS  # of an alignment
GENDERS = ("female", "male")
UNLABELLED = "no label"  # the name of the class of rows without a label in counts


def read_gender(value: str | None) -> str | None:
    """Return the one of `GENDERS` that a cell of a table means: its name or first letter, in any case; else None."""
    plain = (value or "").strip().lower()
    return next((gender for gender in GENDERS if plain in (gender, gender[0])), None)


def features(labels: Sequence[str]) -> "Features":
    """Return the columns of a corpus with these emotions. Every value but `id` may be None.

    - `id` names the utterance, `text` is its transcript and `label` its emotion. `asr_text` is the transcript of a speech
      recogniser, and `soft_label` the distribution of the raters' votes over the classes, in their order.
    - `audio` is a file that is not decoded yet: `{path, bytes}` as on the Hub, and the span of the utterance in the file,
      `start` to `end` in seconds (None for the whole file). It is not a `datasets.Audio`, whose encoder needs torchcodec.
    - `gender` is the speaker's, one of `GENDERS`.
    - `speaker`, `session` and `dialogue` name the origin of the utterance, `turn` is its number in the dialogue, and
      `start` and `end` are seconds in the dialogue. `scripted` separates read (True) from improvised words.
    - `video` is a file, a span in seconds, and the part of the frame that shows the speaker: `crop` is one of `CROPS` of
      `processing.video`, or None for the whole frame.
    - `alignment` holds, for each of `LEVELS`, equally long lists `start`, `end` (seconds in the utterance) and `symbol`.
    - `vad` is valence, arousal and dominance, in the scale that `Corpus.describe` states as `dimension_scale`.
    - `corpus` is the name of the corpus in a run with several; None in a run with one.

    Args:
        labels: Names of the emotions in the order of their class numbers.

    Raises:
        TypeError: If `labels` has no order (a set), because class numbers would differ between runs.
    """
    from datasets import ClassLabel, Features, List, Value

    if not isinstance(labels, Sequence) or isinstance(labels, str):
        raise TypeError(f"labels must be a list or tuple of names in a fixed order, not {type(labels).__name__}.")
    text, seconds = Value("string"), Value("float64")
    segments = {"start": List(seconds), "end": List(seconds), "symbol": List(text)}
    return Features(
        {
            "id": text,
            "corpus": text,
            "audio": {"path": text, "bytes": Value("binary"), "start": seconds, "end": seconds},
            "text": text,
            "asr_text": text,
            "label": ClassLabel(names=list(labels)),
            "soft_label": List(Value("float64")),
            "speaker": text,
            "gender": text,
            "session": text,
            "dialogue": text,
            "turn": Value("int32"),
            "start": seconds,
            "end": seconds,
            "scripted": Value("bool"),
            "video": {"path": text, "start": seconds, "end": seconds, "crop": text},
            "alignment": dict.fromkeys(LEVELS, segments),
            "vad": {"valence": Value("float64"), "arousal": Value("float64"), "dominance": Value("float64")},
        }
    )
