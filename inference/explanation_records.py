"""What an explanation holds, and its form as JSON."""

from dataclasses import asdict, dataclass, field
from typing import Any

LIMITS = (
    "A contribution is the score with everything minus the score without one part: it depends on what is kept and does not "
    "add up, and attention shows where the fusion reads, not why the model decides."
)


@dataclass(frozen=True)
class Target:
    """An output that is explained.

    Attributes:
        label: A class, or a dimension.
        score: The probability of the class, or the value of the dimension.
        scale: The lowest and the highest value of a dimension; None for a class.
    """

    label: str
    score: float
    scale: tuple[float, float] | None = None


@dataclass(frozen=True)
class Part:
    """A modality, or the context, and its contributions.

    Attributes:
        name: `audio`, `text`, `video` or `context`.
        changes: For each target, its score minus the score without the part.
    """

    name: str
    changes: tuple[float, ...]


@dataclass(frozen=True)
class Word:
    """A word of a text, or neighbouring words of a long one, and its contributions.

    Attributes:
        text: The word as it is written.
        start: The position of its first character in its text.
        end: The position behind its last character.
        turn: For a word of the context, the number of its turn among those that are read, oldest first; None for a word
            of the utterance.
        changes: For each target, its score minus the score without the word.
    """

    text: str
    start: int
    end: int
    turn: int | None = None
    changes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Member:
    """A member of a late fusion.

    Attributes:
        number: Its number, from 0.
        name: Its `model_type` and its modalities.
        weight: Its weight in the combination; None for a combination without one weight for each member.
        scores: For each target, its own score; None if the utterance has no input for it.
        changes: For each target, the score of the fusion minus the score without the member; None if no other member has
            an input.
    """

    number: int
    name: str
    weight: float | None
    scores: tuple[float, ...] | None
    changes: tuple[float, ...] | None


@dataclass(frozen=True)
class AttentionMap:
    """Attention between the words of the utterance and time, the mean of all heads.

    Attributes:
        name: Its name in the model's `cross_attentions`. With the end `audio_text`, times attend to words: the weights
            of a time, `other` included, sum to 1. With the end `text_audio`, words attend to times: those of a word
            sum to 1.
        member: The number of the member of a late fusion; None for other models.
        starts: The start of each time, a frame or a segment, in seconds.
        ends: Their ends.
        weights: For each word of the utterance, a weight for each time.
        other: For each time, the weight of tokens that belong to no word, as `[CLS]`; None if words attend to times.
    """

    name: str
    member: int | None
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...]
    other: tuple[float, ...] | None


@dataclass(frozen=True)
class Gate:
    """The gate of one layer of WavFusion over time, the mean of all channels.

    Attributes:
        name: Its name in the model's `gates`.
        member: The number of the member of a late fusion; None for other models.
        source: The modality that the gate weighs.
        other: The modality with the rest of the weight; `audio` for the speech itself.
        starts: The start of each frame in seconds.
        ends: Their ends.
        weights: For each frame, the weight of `source`, from 0 to 1.
    """

    name: str
    member: int | None
    source: str
    other: str
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Explanation:
    """How a model came to its answer for one utterance; `explain` computes it.

    Attributes:
        targets: The outputs that are explained.
        answer: The answer of the pipeline, with all classes and dimensions.
        parts: The contributions of the modalities and of the context.
        words: The words of the utterance in their order, then those of the context.
        members: The members of a late fusion; none for other models.
        attention: The maps of attention between words and time.
        gates: The gates of WavFusion.
        seconds: The length of the recording that was read; None without one.
        envelope: The lowest and the highest sample in equal stretches of the recording.
        notes: Sentences on what the explanation lacks and why, and on what was not read.
        limits: What the explanation shows, and what it does not.
    """

    targets: tuple[Target, ...]
    answer: list[dict[str, Any]] | dict[str, Any]
    parts: tuple[Part, ...] = ()
    words: tuple[Word, ...] = ()
    members: tuple[Member, ...] = ()
    attention: tuple[AttentionMap, ...] = ()
    gates: tuple[Gate, ...] = ()
    seconds: float | None = None
    envelope: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()
    limits: str = field(default=LIMITS)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON can write them; sequences are lists."""
        return _as_lists(asdict(self))

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Explanation":
        """Return the explanation that `to_dict` gave.

        Args:
            fields: The result of `to_dict`, also after JSON.
        """
        records = {
            "targets": Target,
            "parts": Part,
            "words": Word,
            "members": Member,
            "attention": AttentionMap,
            "gates": Gate,
        }
        read = {
            name: tuple(kind(**{key: _as_tuples(value) for key, value in one.items()}) for one in fields[name])
            for name, kind in records.items()
        }
        plain = {name: _as_tuples(fields[name]) for name in ("envelope", "notes")}
        return cls(**{**fields, **read, **plain})


def _as_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_lists(item) for key, item in value.items()}
    return [_as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _as_tuples(value: Any) -> Any:
    return tuple(map(_as_tuples, value)) if isinstance(value, (list, tuple)) else value
