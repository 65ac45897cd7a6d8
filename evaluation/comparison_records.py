"""Result of a comparison of two systems, whatever their task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from .results import MemberComparison
from .sample_size import count_words
from .statistics import LEVEL

ALPHA = 1 - LEVEL  # level of significance


@dataclass(frozen=True)
class Difference:
    """Difference of a score between two systems.

    Args:
        value: Score of the second system minus that of the first.
        interval: 95 % interval `[low, high]` over resampled speakers; None with fewer than six speakers.
        p_speakers: P-value of the permutation test over speakers; None with fewer than six speakers.
    """

    value: float
    interval: list[float] | None
    p_speakers: float | None


class Comparison(ABC):
    """Base of the comparisons of two systems on the same utterances."""

    @property
    @abstractmethod
    def verdict(self) -> str:
        """A sentence that says whether the differences are significant."""

    @abstractmethod
    def format(self) -> str:
        """Return the scores, their differences and the tests as a table for the console."""

    @abstractmethod
    def to_record(self) -> MemberComparison:
        """Return what a late fusion stores of its comparison with a member: the first system is the member."""


@dataclass(frozen=True)
class JointComparison(Comparison):
    """Comparison of two systems that predict classes and dimensions.

    Args:
        classes: The comparison of the classes.
        dimensions: The comparison of the dimensions.
    """

    classes: Comparison
    dimensions: Comparison

    @property
    def verdict(self) -> str:
        """The sentence on the classes, and that on the dimensions."""
        return f"Classes: {self.classes.verdict} Dimensions: {self.dimensions.verdict}"

    def format(self) -> str:
        """Return both tables for the console."""
        return f"{self.classes.format()}\n\n{self.dimensions.format()}"

    def to_record(self) -> MemberComparison:
        """Return both as one record; see [`Comparison.to_record`]."""
        return replace(self.classes.to_record(), ccc=self.dimensions.to_record().ccc, verdict=self.verdict)


class TestedSystem(Protocol):
    """Predictions of a system: its `name`, and by id of the utterance its `truth` and its `speakers`."""

    name: str
    truth: Mapping[str, Any]
    speakers: Mapping[str, str | None]


def check_same_utterances(one: TestedSystem, other: TestedSystem, show: Callable[[Any], str]) -> None:
    """Check that two systems were tested on the same utterances, and agree on their labels and speakers.

    Args:
        one: The first system.
        other: The second system.
        show: Returns the text of a true label. Labels are equal if their texts are.

    Raises:
        ValueError: If they were not, or do not.
    """
    lacking = [
        f"{name} has {len(extra)} that {where} lacks, as {extra[0]!r}"
        for name, extra, where in (
            (one.name, sorted(one.truth.keys() - other.truth.keys()), other.name),
            (other.name, sorted(other.truth.keys() - one.truth.keys()), one.name),
        )
        if extra
    ]
    if lacking:
        raise ValueError(f"The two were not tested on the same utterances: {'; '.join(lacking)}.")
    for utterance, label in one.truth.items():
        first, second = show(label), show(other.truth[utterance])
        if first != second:
            raise ValueError(f"{utterance!r} is {first} for {one.name} and {second} for {other.name}.")
        if one.speakers[utterance] != other.speakers[utterance]:
            raise ValueError(f"{one.name} and {other.name} do not agree on the speaker of {utterance!r}.")


def describe_size(utterances: int, speakers: int | None) -> str:
    """Return the size of a comparison: `40 utterances by 7 speakers`."""
    by = "unknown speakers" if speakers is None else count_words(speakers, "speaker")
    return f"{count_words(utterances, 'utterance')} by {by}"
