"""The one schema of every corpus: what a row of speech is, whoever recorded it."""

from collections.abc import Sequence

from datasets import ClassLabel, Features, List, Value

SPLITS = ("train", "validation", "test")
LEVELS = ("word", "syllable", "phone")


def features(labels: Sequence[str]) -> Features:
    """Columns of a corpus with these emotions. Every value but `id` may be None where a corpus does not have it.

    - `id` names the utterance, `text` is what is said and `label` the emotion. `asr_text` is what a recogniser heard, and
      `soft_label` how the raters' votes are shared among the classes, in their order.
    - `audio` is a file not yet decoded: the Hub's `{path, bytes}`, and the span of the utterance inside the file,
      `start` to `end` in seconds (None for the whole file). It is no `datasets.Audio`, whose encoder needs torchcodec.
    - `speaker`, `session` and `dialogue` name where it comes from, `turn` counts inside the dialogue, and `start` and
      `end` are seconds inside the dialogue. `scripted` tells words that were read from those that were improvised.
    - `video` is a file, a span in seconds, and the half of the picture that shows the speaker: `crop` is "left",
      "right" or None for all of it.
    - `alignment` holds, for each of `LEVELS`, equally long lists `start`, `end` (seconds inside the utterance) and
      `symbol`.
    - `vad` is valence, arousal and dominance, from 1 to 5.

    Args:
        labels: Names of the emotions in the order of their class numbers.

    Raises:
        TypeError: If `labels` has no order of its own (a set), for class numbers would differ from run to run.
    """
    if not isinstance(labels, Sequence) or isinstance(labels, str):
        raise TypeError(f"labels must be a list or tuple of names in a fixed order, not {type(labels).__name__}.")
    text, seconds = Value("string"), Value("float64")
    segments = {"start": List(seconds), "end": List(seconds), "symbol": List(text)}
    return Features(
        {
            "id": text,
            "audio": {"path": text, "bytes": Value("binary"), "start": seconds, "end": seconds},
            "text": text,
            "asr_text": text,
            "label": ClassLabel(names=list(labels)),
            "soft_label": List(Value("float64")),
            "speaker": text,
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
