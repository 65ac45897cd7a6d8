"""Survey of a prepared corpus: arrays with one entry per utterance, read column by column."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from ...configuration.dimensions import DIMENSIONS
from ...processing.media import audio_seconds
from ..preparation.inspection import measure
from ..schema import LEVELS, UNLABELLED

BATCH = 1000  # rows in memory at a time

# Optional contents of an utterance -> the flattened column that holds them.
COMPANIONS = {
    "text": "text",
    "recognised text": "asr_text",
    "soft label": "soft_label",
    "speaker": "speaker",
    "session": "session",
    "dialogue": "dialogue",
    **{f"alignment of {level}s": f"alignment.{level}.start" for level in LEVELS},
    "video": "video.path",
    **{dimension: f"vad.{dimension}" for dimension in DIMENSIONS},
}


@dataclass(frozen=True)
class Survey:
    """A corpus in columns. Arrays and lists have one entry per utterance, in the order of splits and rows.

    Args:
        labels: Names of the classes in their order, followed by `UNLABELLED` if a row has no label.
        ids: Ids of the utterances.
        splits: Split of each utterance.
        rows: Number of its row in that split.
        groups: Value of the column by which utterances are counted; None if unknown.
        speakers: Speaker of each utterance; None if unknown.
        classes: Index into `labels`, `(utterances,)`.
        seconds: Duration, `(utterances,)`; NaN if unknown.
        words: Number of words of the text, `(utterances,)`; -1 without a text.
        vad: Valence, arousal and dominance, `(utterances, 3)`; NaN if unknown.
        companions: Number of utterances per name in `COMPANIONS`.
        scripted: Number of scripted (True), improvised (False) and other utterances (None).
    """

    labels: list[str]
    ids: list[str]
    splits: list[str]
    rows: list[int]
    groups: list[str | None]
    speakers: list[str | None]
    classes: np.ndarray
    seconds: np.ndarray
    words: np.ndarray
    vad: np.ndarray
    companions: Counter
    scripted: Counter


def survey(corpus: DatasetDict, count_by: str) -> Survey:
    """Return the survey of a corpus. A recording is opened only if neither its span nor its times in the dialogue give
    the duration.

    Args:
        corpus: Splits in the schema of `schema.features`.
        count_by: The column by which utterances are counted, or "split".
    """
    columns = {
        name: [] for name in ("ids", "splits", "rows", "groups", "speakers", "classes", "seconds", "words", "vad")
    }
    companions, scripted = Counter(), Counter()
    for split, dataset in corpus.items():
        for table in _batches(dataset, count_by):
            values = {name: table.column(name).to_pylist() for name in ("id", "label", "speaker", "text", "scripted")}
            columns["ids"] += values["id"]
            columns["splits"] += [split] * len(table)
            columns["groups"] += [split] * len(table) if count_by == "split" else table.column(count_by).to_pylist()
            columns["speakers"] += values["speaker"]
            columns["classes"] += [-1 if label is None else label for label in values["label"]]
            columns["words"] += [len(text.split()) if text else -1 for text in values["text"]]
            columns["vad"].append(np.stack([_floats(table, f"vad.{dimension}") for dimension in DIMENSIONS], axis=1))
            columns["seconds"].append(_spans(table))
            companions.update({name: _count_present(table.column(column)) for name, column in COMPANIONS.items()})
            scripted.update(values["scripted"])
        columns["rows"] += range(len(dataset))
    labels = list(next(iter(corpus.values())).features["label"].names)
    classes = np.array(columns["classes"], dtype=np.int64)
    if (classes < 0).any():
        classes[classes < 0] = len(labels)
        labels.append(UNLABELLED)
    arrays = {
        "classes": classes,
        "words": np.array(columns["words"], dtype=np.int64),
        "seconds": np.concatenate(columns["seconds"] or [np.zeros(0)]),
        "vad": np.concatenate(columns["vad"] or [np.zeros((0, len(DIMENSIONS)))]),
    }
    counted = Survey(labels=labels, companions=companions, scripted=scripted, **(columns | arrays))
    _measure_others(counted, corpus)
    return counted


def _span_seconds(audio: Mapping) -> float | None:
    """Return the duration of a row's `audio`; the header of its file is read if the span has no end.

    Returns:
        Seconds; None if the header does not state it.

    Raises:
        ValueError: If the file cannot be read.
    """
    start, end = audio["start"] or 0.0, audio["end"]
    if end is None:
        end = measure(audio["path"]) if audio["bytes"] is None else audio_seconds(audio)
    return None if end is None else end - start


def _batches(dataset: Dataset, count_by: str) -> Iterator[pa.Table]:
    """Yield the columns of the survey, nested ones under dotted names; recordings are never read."""
    flat = dataset.flatten()
    wanted = {"id", "label", "start", "end", "scripted", "audio.start", "audio.end", *COMPANIONS.values()}
    wanted |= {count_by} - {"split"}
    return flat.select_columns(sorted(wanted)).with_format("arrow").iter(BATCH)


def _floats(table: pa.Table, column: str) -> np.ndarray:
    return np.array(table.column(column).to_pylist(), dtype=np.float64)  # None becomes NaN


def _spans(table: pa.Table) -> np.ndarray:
    """Return the seconds of the recording's span or, if it has no end, of the utterance in its dialogue."""
    first = np.nan_to_num(_floats(table, "audio.start"))
    span = _floats(table, "audio.end") - first
    seconds = np.where(np.isnan(span), _floats(table, "end") - _floats(table, "start"), span)
    return np.where(seconds > 0, seconds, np.nan)


def _count_present(column: pa.ChunkedArray) -> int:
    """Return how many values are neither None nor empty."""
    if pa.types.is_list(column.type):
        column = pc.greater(pc.list_value_length(column), 0)
    elif pa.types.is_string(column.type):
        column = pc.greater(pc.utf8_length(column), 0)
    else:
        column = column.is_valid()
    return pc.sum(column).as_py() or 0


def _measure_others(counted: Survey, corpus: DatasetDict) -> None:
    """Fill in missing durations from the headers of the recordings."""
    recordings = {split: dataset.select_columns(["audio"]) for split, dataset in corpus.items()}
    for place in np.flatnonzero(np.isnan(counted.seconds)):
        try:
            seconds = _span_seconds(recordings[counted.splits[place]][counted.rows[place]]["audio"])
        except ValueError:
            continue  # listed among the problems
        counted.seconds[place] = np.nan if seconds is None else seconds
