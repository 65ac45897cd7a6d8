"""Attention between words and time, and gates over time, of a model for one utterance."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import PreTrainedModel
from transformers.utils import logging

from ..configuration.modalities import SAMPLING_RATE, SPAN_INPUTS
from ..modeling.encoder_audio import frame_hop
from ..modeling.fusion_late_members import MEMBER_MODELS, select_inputs
from .explanation_records import AttentionMap, Gate, Word
from .explanation_words import Span, merge_attended, merge_attending, share_tokens

TO_WORDS, TO_TIMES = "audio_text", "text_audio"  # ends of the names of maps
DIGITS = 6


class Reading(NamedTuple):
    """One model that reads the utterance: the model itself, or a member of a late fusion.

    Attributes:
        model: The model.
        inputs: Its inputs, of one row.
        spans: The places of the tokens of the utterance; None where unknown.
        member: The number of the member; None for the model itself.
    """

    model: PreTrainedModel
    inputs: Mapping[str, Any]
    spans: Sequence[Span] | None
    member: int | None = None


def list_readings(model: PreTrainedModel, batch: Mapping[str, Any], spans: Mapping[int | None, Any]) -> list[Reading]:
    """Return the models of ours that read an utterance.

    Args:
        model: The classifier.
        batch: Its inputs, of one row.
        spans: The places of tokens by number of the member with a tokenizer of its own; of all others as None.
    """
    members = getattr(model.model, "members", None)
    if members is None:
        return [Reading(model, batch, spans[None])]
    found = [(number, member, select_inputs(number, member.config, batch)) for number, member in enumerate(members)]
    return [
        Reading(member, inputs, spans.get(number, spans[None]), number)
        for number, member, inputs in found
        if inputs and member.config.model_type in MEMBER_MODELS
    ]


def read_attention(readings: Sequence[Reading], words: Sequence[Word]) -> tuple[list[AttentionMap], list[Gate], bool]:
    """Return the maps between words and time, the gates, and whether any of the models has such maps.

    A model gives no map for an utterance without recording or text, where a learned vector stands for the missing one.

    Args:
        readings: The models.
        words: The words of the utterance.
    """
    maps, gates, is_attentive = [], [], False
    for reading in readings:
        with _quiet():
            output = reading.model(**reading.inputs, output_attentions=True)
        named = {
            name: weights
            for name, weights in (output.cross_attentions or {}).items()
            if name.endswith((TO_WORDS, TO_TIMES))
        }
        is_attentive = is_attentive or bool(named)
        if "audio" not in reading.model.config.modalities or reading.inputs.get("input_values") is None:
            continue
        for name, weights in named.items() if words and reading.spans is not None else ():
            maps += _read_map(reading, name, weights, output.fallbacks or {}, words)
        gates += [_read_gate(reading, name, values) for name, values in (output.gates or {}).items()]
    return maps, gates, is_attentive


def _read_map(
    reading: Reading, name: str, weights: torch.Tensor, fallbacks: Mapping[str, torch.Tensor], words: Sequence[Word]
) -> list[AttentionMap]:
    """Return a map; none if its tokens are not those of the text, or the times of its segments are unknown."""
    matrix = weights[0].float().mean(dim=0).cpu().double().numpy()
    matrix = matrix if name.endswith(TO_WORDS) else matrix.T  # times, tokens
    level = name.removesuffix(f"_{TO_WORDS}").removesuffix(f"_{TO_TIMES}")
    times = _times(reading, len(matrix), level if level in fallbacks else None, fallbacks)
    if matrix.shape[1] != len(reading.spans) or times is None:
        return []
    shares = share_tokens(words, reading.spans)
    other = None
    if name.endswith(TO_WORDS):
        merged = merge_attended(matrix, shares)
        other = _rounded(matrix @ (1 - shares.sum(axis=0)))
    else:
        merged = merge_attending(matrix.T, shares)
    return [AttentionMap(name, reading.member, *times, tuple(map(_rounded, merged)), other)]


def _times(
    reading: Reading, count: int, level: str | None = None, fallbacks: Mapping[str, torch.Tensor] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return starts and ends of frames, or of the segments of a level; None if the segments do not fit the recording."""
    spans = None if level is None else reading.inputs.get(SPAN_INPUTS[level])
    if spans is None or not (spans[0, :, 0] >= 0).any():
        hop = frame_hop(reading.model.config.audio_config) / SAMPLING_RATE
        return _rounded(hop * np.arange(count)), _rounded(hop * np.arange(1, count + 1))
    if bool(fallbacks[level][0]):
        return None
    starts, ends = spans[0, :count].cpu().double().numpy().T
    return _rounded(starts), _rounded(ends)


def _read_gate(reading: Reading, name: str, values: torch.Tensor) -> Gate:
    source, *others = reading.model.config.stream_sizes
    weights = values[0].float().mean(dim=-1).cpu().double().numpy()
    times = _times(reading, len(weights))
    return Gate(name, reading.member, source, others[0] if others else "audio", *times, _rounded(weights))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out the warning that encoders return no maps of their own, which are not wanted."""
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(values, DIGITS).tolist())
