"""Sentences on the corpora of a run: their labels as classes, and the scores on other corpora (ours)."""

from collections.abc import Mapping

from ..configuration.plain_text import join_words, show_name
from ..corpora.schema import SPLITS
from .metadata import CorpusMetadata
from .results import RunResults


def describe_map(classes: Mapping[str, str | None], dropped: Mapping[str, int]) -> str:
    """Return the classes of the labels of a corpus in a line: `happy -> joy, sad; dropped: bored (12)`.

    Args:
        classes: The class of every label, None for labels whose utterances are dropped.
        dropped: Number of dropped utterances by label.
    """
    kept = [
        show_name(label) if label == name else f"{show_name(label)} -> {show_name(name)}"
        for label, name in classes.items()
        if name is not None
    ]
    lost = [f"{show_name(label)} ({dropped.get(label, 0):,})" for label, name in classes.items() if name is None]
    lost += [f"{label} ({count:,})" for label, count in dropped.items() if label not in classes]  # no label at all
    return "; ".join(filter(None, [", ".join(kept), f"dropped: {', '.join(lost)}" if lost else ""]))


def list_maps(corpus: CorpusMetadata) -> dict[str, str]:
    """Return the classes of the labels of each corpus as a line, see `describe_map`."""
    return {name: describe_map(classes, corpus.dropped.get(name, {})) for name, classes in corpus.label_map.items()}


def find_others(results: RunResults) -> list[str]:
    """Return the other corpora that a run was tested on: the splits of its scores that are no splits of its own."""
    return [split for split in results.metrics if split not in SPLITS]


def explain_other(results: RunResults, corpus: str) -> str:
    """Return sentences on the test split of another corpus: its rows, and the classes that one of the two corpora lacks.

    Args:
        results: The results of the run.
        corpus: Name of the other corpus.
    """
    counts, learned = results.data.get(corpus), results.data.get("train")
    sentences = ["Nothing was trained, selected or fitted on this corpus."]
    if counts is not None and counts.utterances is not None:
        sentences.insert(0, f"{counts.utterances:,} utterances of its test split.")
    classes = {} if counts is None else counts.classes
    known = {} if learned is None else learned.classes
    if absent := [label for label, count in classes.items() if not count]:
        sentences.append(f"It has no utterance of {join_words(absent)}; means over classes there are over the others.")
    if unknown := [label for label, count in classes.items() if count and known.get(label) == 0]:
        sentences.append(
            f"The training split has no utterance of {join_words(unknown)}, which the model has not learned to recognise."
        )
    return " ".join(sentences)
