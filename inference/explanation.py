"""Explanation of the answer for one utterance: contributions by occlusion, attention between words and time, gates.

Occlusion (Zeiler and Fergus 2014, arXiv 1311.2901): a part is removed, and the change of the score is its contribution.
A modality is removed as a missing one, which the model has a learned vector for; a word is dropped from the text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, ProcessorMixin

from ..configuration.modalities import MODALITIES
from ..configuration.plain_text import did_you_mean, join_words, show_dtype, show_value
from ..processing.pipeline_answers import build_answer
from ..processing.pipeline_emotion_recognition import EmotionRecognitionPipeline
from ..processing.utterance_batches import batch_rows
from ..processing.utterance_reader import Failure
from .explanation_attention import list_readings, read_attention
from .explanation_forms import fix_row, list_words, locate_tokens, without_parts, without_words
from .explanation_members import read_members
from .explanation_records import AttentionMap, Explanation, Part, Target
from .explanation_reuse import reuse_rows

BATCH_SIZE, BATCH_SECONDS = 8, 120.0  # rows of a batch and seconds of their recordings, at most
ENVELOPE = 600  # stretches of a recording, at most

Answer = list[dict[str, Any]] | dict[str, list[dict[str, Any]]]


class ExplainingPipeline(EmotionRecognitionPipeline):
    """The pipeline for several forms of one utterance."""

    def answer_rows(self, rows: Sequence[Mapping[str, Any]], batch_size: int) -> list[Answer]:
        """Return the answer for each row.

        Args:
            rows: Utterances from `preprocess`.
            batch_size: The largest number of rows in a batch.

        Raises:
            ValueError: If scores are not finite.
        """
        outputs, found = [], {}
        for batch in batch_rows((row for row in rows), False, batch_size, BATCH_SECONDS):
            found |= zip(batch.numbers, self._score(batch.rows, self._batch(batch.rows)), strict=True)
            if len(found) == len(batch.window):
                outputs += [found.pop(number) for number in range(len(batch.window))]
        if failed := next((output for output in outputs if isinstance(output, Failure)), None):
            raise failed.error
        return [build_answer(output, self.model.config) for output in outputs]

    def batch_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of the model for one utterance.

        Args:
            row: The utterance, from `preprocess`.
        """
        return self._batch([row])


@torch.no_grad()
def explain(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    utterance: Any,
    target: str | None = None,
    batch_size: int = BATCH_SIZE,
    allow_private_urls: bool = False,
) -> Explanation:
    """Explain the answer of a classifier for one utterance.

    The model runs once for each modality and each word, `batch_size` at a time, and once for attention and gates. Its
    encoders run once for each distinct input: the recording is encoded once, whatever the number of words.

    Args:
        model: A classifier of emofusion; it is set to evaluation mode, and runs where it is.
        processor: Its processor.
        utterance: A recording, or a dict with `audio`, `text`, `video`, `alignment`, `context` and `speaker`, as the pipeline
            takes them.
        target: The class or dimension to explain; by default the most probable class and every dimension.
        batch_size: The largest number of forms of the utterance in a batch; results do not depend on it. Batches of long
            recordings are smaller.
        allow_private_urls: Whether URLs may lead to this machine and to private networks.

    Returns:
        The explanation.

    Raises:
        FileNotFoundError: If a file does not exist.
        TypeError: If the model is no classifier of emofusion, or an input has a wrong type.
        ValueError: If the utterance cannot be read or has no input for the model, the scores are not finite, the model
            does not predict `target`, or `batch_size` is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}.")
    placed = getattr(model, "hf_device_map", None) is not None  # which no pipeline may move
    pipeline = ExplainingPipeline(model=model, processor=processor, device=None if placed else model.device)
    with reuse_rows(pipeline.model):
        return _explain(pipeline, utterance, target, batch_size, allow_private_urls)


def _explain(
    pipeline: ExplainingPipeline, utterance: Any, target: str | None, batch_size: int, allow_private_urls: bool
) -> Explanation:
    """See `explain`."""
    model, processor = pipeline.model, pipeline.processor
    row = fix_row(pipeline.preprocess(utterance, allow_private_urls=allow_private_urls), processor)
    spans = locate_tokens(processor, row["text"])
    words, text, word_notes = list_words(row, spans)
    parts, dropped = without_parts(row), without_words(row, words, text)
    answer, *others = pipeline.answer_rows([row, *parts.values(), *dropped.values()], batch_size)
    targets = _choose_targets(answer, target)
    changes = [
        tuple(kept.score - score for kept, score in zip(targets, _scores(other, targets), strict=True))
        for other in others
    ]
    own = [word for word in words if word.turn is None]
    readings = list_readings(pipeline.model, pipeline.batch_of({**row, "history": []}), spans)
    attention, gates, is_attentive = read_attention(readings, own)
    members = read_members(
        pipeline.model,
        pipeline.batch_of(row),
        targets,
        lambda logits: _scores(build_answer({"logits": logits, "is_silent": False}, model.config), targets),
    )
    return Explanation(
        targets=targets,
        answer=answer,
        parts=tuple(map(Part, parts, changes)),
        words=tuple(replace(word, changes=own) for word, own in zip(words, changes[len(parts) :], strict=True)),
        members=tuple(members),
        attention=tuple(attention),
        gates=tuple(gates),
        seconds=_seconds(row["audio"]),
        envelope=_envelope(row["audio"]),
        notes=(*_input_notes(row, model), *word_notes, *_attention_notes(row, spans, is_attentive, attention)),
    )


def _entries(answer: Answer) -> list[dict[str, Any]]:
    """Return the classes, the most probable first, and then the dimensions."""
    return answer["scores"] + answer.get("dimensions", []) if isinstance(answer, dict) else answer


def _choose_targets(answer: Answer, name: str | None) -> tuple[Target, ...]:
    entries = _entries(answer)
    if name is None:
        chosen = [entry for place, entry in enumerate(entries) if not place or "scale" in entry]
    elif not (chosen := [entry for entry in entries if entry["label"] == name][:1]):
        known = [entry["label"] for entry in entries]
        raise ValueError(
            f"The model does not predict {show_value(name)}{did_you_mean(name, known)}; it predicts {join_words(known)}."
        )
    return tuple(
        Target(entry["label"], entry["score"], tuple(entry["scale"]) if "scale" in entry else None) for entry in chosen
    )


def _scores(answer: Answer, targets: Sequence[Target]) -> tuple[float, ...]:
    # A class may have the name of a dimension.
    scores = {(entry["label"], "scale" in entry): entry["score"] for entry in _entries(answer)}
    return tuple(scores[target.label, target.scale is not None] for target in targets)


def _seconds(audio: Mapping[str, Any] | None) -> float | None:
    return None if audio is None else len(audio["array"]) / audio["sampling_rate"]


def _envelope(audio: Mapping[str, Any] | None) -> tuple[tuple[float, float], ...]:
    if audio is None:
        return ()
    stretches = np.array_split(audio["array"], min(ENVELOPE, len(audio["array"])))
    return tuple((round(float(part.min()), 5), round(float(part.max()), 5)) for part in stretches)


def _input_notes(row: Mapping[str, Any], model: PreTrainedModel) -> list[str]:
    """Return sentences on inputs that are cut, silent, ignored or missing."""
    given = [MODALITIES[name].word for name in MODALITIES if row[name] is not None]
    missing = [MODALITIES[name].word for name in model.config.modalities if row[name] is None]
    notes = [row["cut"]] if row["cut"] else []
    if row["is_silent"]:
        notes.append("Nothing is heard in the recording (its amplitude is below -80 dB).")
    if row["unused"]:
        names = [MODALITIES[name].word if name in MODALITIES else "earlier turns" for name in row["unused"]]
        notes.append(f"This model does not use {join_words(names)}; the input is ignored.")
    if missing:
        notes.append(f"The utterance has no {join_words(missing, 'or')}: the model uses {join_words(given)} alone.")
    if model.dtype != torch.float32:
        notes.append(
            f"The model runs in {show_dtype(model.dtype)}: small contributions are rounding. Explain it in float32 for exact ones."
        )
    if len(given) == 1:
        notes.append(f"The contribution of {given[0]} cannot be measured: without it the model has no input.")
    return notes


def _attention_notes(
    row: Mapping[str, Any], spans: Mapping[int | None, Any], is_attentive: bool, maps: Sequence[AttentionMap]
) -> list[str]:
    """Return a sentence on why there is no attention between words and time, if there is none."""
    if maps:
        return []
    if not is_attentive:
        return ["This model has no attention between words and time."]
    if row["audio"] is None or row["text"] is None:
        return ["Attention between words and time needs a recording and a transcript."]
    if None in spans.values():
        return ["The tokenizer does not state the places of its tokens, which words of the attention need."]
    return ["Attention cannot be shown: the text has no words, or the alignment does not fit the recording."]
