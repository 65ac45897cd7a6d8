"""Sentences on scores that were measured on few utterances or few speakers, to be shown beside the scores."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..configuration.plain_text import join_words, show_name
from .statistics import MIN_SPEAKERS

if TYPE_CHECKING:
    from .results import RunResults

# Utterances of a class below which its recall is called uncertain (ours): with 30, a recall of 50 % has a 95 % interval
# of 18 points to each side.
MIN_UTTERANCES = 30
SHOWN_AT_MOST = 6  # sizes of classes in a sentence
LONGEST_NAME = 40  # characters


def explain_uncertainty(results: "RunResults", split: str = "test") -> str:
    """Return the sentences beside the scores of a split: which classes are small, and why there is no interval.

    Args:
        results: The results of a run, a late fusion or a cross-validation.
        split: The split. Only the test split has intervals.

    Returns:
        Up to two sentences; empty if every class and dimension has enough utterances and speakers, or nothing was
        measured.
    """
    scores, data = results.metrics.get(split), results.data.get(split)
    if scores is None:
        return ""
    # In a cross-validation the support counts an utterance once per run, the data once.
    utterances = dict(data.classes) if data and data.classes else {}
    if not utterances and scores.support:
        utterances = dict(zip(results.labels, scores.support, strict=False))
    speakers = dict(zip(results.labels, scores.speakers or [], strict=False))
    place = f"in the {split} split"
    # The support counts an utterance once per run, the data once.
    known = dict(data.dimensions) if data and data.dimensions else {}
    known = known or {name: found.utterances for name, found in scores.dimensions.items()}
    each = " or ".join(["in a class"] * bool(utterances) + ["for a dimension"] * bool(known))
    sentences = [describe_small_classes(utterances | known, speakers, place, each)]
    if split == "test" and results.intervals is None:
        sentences.append(_explain_missing_intervals(None if data is None else data.speakers))
    return " ".join(filter(None, sentences))


def describe_small_classes(
    utterances: Mapping[str, int], speakers: Mapping[str, int | None], place: str, each: str = "in a class"
) -> str:
    """Return a sentence that names the classes, or dimensions, with few utterances or speakers; empty if all have enough.

    Args:
        utterances: Number of utterances by class.
        speakers: Number of speakers by class; None, or no entry, where it is unknown.
        place: What the classes are part of, as "in the test split".
        each: Place of the utterances of one of them.
    """
    small = {}  # classes by their size
    for label, count in utterances.items():
        if count < MIN_UTTERANCES or _is_few(speakers.get(label)):
            small.setdefault(_describe_size(count, speakers.get(label)), []).append(show_name(label, LONGEST_NAME))
    if not small:
        return ""
    shown = [
        f"{join_words(labels)} {'has' if len(labels) == 1 else 'have'} {size}{' each' if len(labels) > 1 else ''}"
        for size, labels in list(small.items())[:SHOWN_AT_MOST]
    ]
    if more := sum(map(len, list(small.values())[SHOWN_AT_MOST:])):
        shown.append(f"{count_words(more, 'other class', 'other classes')} {'is' if more == 1 else 'are'} small too")
    return (
        f"Few data: {place}, {join_words(shown)}; with fewer than {MIN_UTTERANCES} utterances or {MIN_SPEAKERS} speakers "
        f"{each}, another sample can give quite different scores."
    )


def _explain_missing_intervals(speakers: int | None) -> str:
    """Return why scores have no interval over speakers.

    Args:
        speakers: Number of speakers, None if it is unknown.
    """
    if speakers is None:
        return "The scores have no interval, because the speakers are unknown."
    if speakers < MIN_SPEAKERS:
        return f"The scores have no interval: it needs at least {MIN_SPEAKERS} speakers, and the data have {speakers}."
    return ""


def count_words(count: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun: `1 speaker`, `2 speakers`.

    Args:
        count: The number.
        one: The noun for one.
        many: The noun for other numbers; by default that for one with an "s".
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def _is_few(speakers: int | None) -> bool:
    return speakers is not None and speakers < MIN_SPEAKERS


def _describe_size(utterances: int, speakers: int | None) -> str:
    return count_words(utterances, "utterance") + (f" by {count_words(speakers, 'speaker')}" if speakers else "")
