"""What a prepared corpus holds, counted: one number per utterance and question, read column by column."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict

from ..preparation.inspection import measure
from ..schema import LEVELS

BATCH = 1000  # rows that are in memory at once
UNLABELLED = "no label"
DIMENSIONS = ("valence", "arousal", "dominance")

# What an utterance may have beside its recording -> the flattened column that tells.
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
    """A corpus in columns: all arrays and lists have one entry per utterance, in the order of splits and rows.

    Args:
        labels: Names of the classes in their order, and `UNLABELLED` after them where a row has no label.
        ids: Names of the utterances.
        splits: Split of each utterance.
        rows: Its place in that split.
        parts: Value of the column by which counts are given; None where it has none.
        speakers: None where nobody is named.
        classes: Place in `labels`, `(utterances,)`.
        seconds: How long each lasts, `(utterances,)`; NaN where nothing tells.
        words: Words of its text, `(utterances,)`; -1 where there is none.
        vad: Valence, arousal and dominance, `(utterances, 3)`; NaN where there is none.
        companions: Per name in `COMPANIONS`, how many utterances have it.
        scripted: How many have words that were read, that were improvised, and of which this is unknown.
    """

    labels: list[str]
    ids: list[str]
    splits: list[str]
    rows: list[int]
    parts: list[str | None]
    speakers: list[str | None]
    classes: np.ndarray
    seconds: np.ndarray
    words: np.ndarray
    vad: np.ndarray
    companions: Counter
    scripted: Counter


def survey(corpus: DatasetDict, part: str) -> Survey:
    """Count a corpus; recordings are opened only where neither their span nor the dialogue's clock tells their length.

    Args:
        corpus: In the schema of `schema.features`.
        part: The column by which counts are given, or "split".
    """
    columns = {
        name: [] for name in ("ids", "splits", "rows", "parts", "speakers", "classes", "seconds", "words", "vad")
    }
    companions, scripted = Counter(), Counter()
    for split, dataset in corpus.items():
        for table in _batches(dataset):
            values = {name: table.column(name).to_pylist() for name in ("id", "label", "speaker", "text", "scripted")}
            columns["ids"] += values["id"]
            columns["splits"] += [split] * len(table)
            columns["parts"] += [split] * len(table) if part == "split" else table.column(part).to_pylist()
            columns["speakers"] += values["speaker"]
            columns["classes"] += [-1 if label is None else label for label in values["label"]]
            columns["words"] += [len(text.split()) if text else -1 for text in values["text"]]
            columns["vad"].append(np.stack([_floats(table, f"vad.{dimension}") for dimension in DIMENSIONS], axis=1))
            columns["seconds"].append(_spans(table))
            companions.update({name: _present(table.column(column)) for name, column in COMPANIONS.items()})
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


def span_seconds(audio: Mapping) -> float | None:
    """How long the span of a row's `audio` is; the header of its file is read if the span has no end.

    Returns:
        Seconds; None where the header does not say.

    Raises:
        ValueError: If the file cannot be read.
    """
    import soundfile

    start, end = audio["start"] or 0.0, audio["end"]
    if end is None and audio["bytes"] is None:
        end = measure(audio["path"])
    elif end is None:
        try:
            end = soundfile.info(BytesIO(audio["bytes"])).duration
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{audio['path']} is embedded, but no recording.") from error
    return None if end is None else end - start


def _batches(dataset: Dataset) -> Iterator[pa.Table]:
    """All columns that are counted, nested ones by names with points; never the recordings."""
    flat = dataset.flatten()
    wanted = {"id", "label", "start", "end", "scripted", "audio.start", "audio.end", *COMPANIONS.values()}
    return flat.select_columns(sorted(wanted)).with_format("arrow").iter(BATCH)


def _floats(table: pa.Table, column: str) -> np.ndarray:
    return np.array(table.column(column).to_pylist(), dtype=np.float64)  # None becomes NaN


def _spans(table: pa.Table) -> np.ndarray:
    """Seconds of the recording's span or, where that has no end, of the utterance in its dialogue."""
    first = np.nan_to_num(_floats(table, "audio.start"))
    heard = _floats(table, "audio.end") - first
    seconds = np.where(np.isnan(heard), _floats(table, "end") - _floats(table, "start"), heard)
    return np.where(seconds > 0, seconds, np.nan)


def _present(column: pa.ChunkedArray) -> int:
    """How many values are neither None nor empty."""
    if pa.types.is_list(column.type):
        column = pc.greater(pc.list_value_length(column), 0)
    elif pa.types.is_string(column.type):
        column = pc.greater(pc.utf8_length(column), 0)
    else:
        column = column.is_valid()
    return pc.sum(column).as_py() or 0


def _measure_others(counted: Survey, corpus: DatasetDict) -> None:
    """Ask the recordings themselves, one after the other, how long they are."""
    recordings = {split: dataset.select_columns(["audio"]) for split, dataset in corpus.items()}
    for place in np.flatnonzero(np.isnan(counted.seconds)):
        try:
            seconds = span_seconds(recordings[counted.splits[place]][counted.rows[place]]["audio"])
        except ValueError:
            continue  # the problem list tells of it
        counted.seconds[place] = np.nan if seconds is None else seconds
