"""Answers of the pipeline: the named scores of an utterance or a window."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from ..configuration.plain_text import show_dtype
from .utterance_reader import Failure
from .windows import Span


def build_answer(
    output: Mapping[str, Any], config: PreTrainedConfig, top_k: int | None = None, return_text: bool = False
) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the answer for one utterance, in the form that `EmotionRecognitionPipeline.__call__` describes.

    Args:
        output: The output of the model for the utterance: `logits` `(outputs,)`; `dimensions` `(dimensions,)`, if the
            model has classes and dimensions; `text`; and `is_silent`.
        config: The configuration of the model.
        top_k: The number of classes to return; None for all.
        return_text: Whether to return the text.
    """
    silent = {"silent": True} if output["is_silent"] else {}
    if config.is_regression:
        entries, more = _dimension_entries(output["logits"], config, silent), {}
    else:
        entries = _class_entries(output["logits"], config, silent, top_k)
        values = output.get("dimensions")
        more = {} if values is None else {"dimensions": _dimension_entries(values, config, silent)}
    text = {"text": output["text"]} if return_text else {}
    return {**text, "scores": entries, **more} if text or more else entries


def build_row(
    span: Span, output: Mapping[str, Any] | Failure, config: PreTrainedConfig, top_k: int | None = None
) -> dict[str, Any]:
    """Return the answer for a window, in the form that `EmotionRecognitionPipeline.__call__` describes.

    Args:
        span: The window.
        output: See `build_answer`; or its failure.
        config: The configuration of the model.
        top_k: The number of classes to return; None for all.
    """
    row = {"start": span.start, "end": span.end}
    if span.speaker is not None:
        row["speaker"] = span.speaker
    if isinstance(output, Failure):
        return row | {"error": output.message}
    answer = build_answer(output, config, top_k, return_text=output["text"] is not None)
    row |= answer if isinstance(answer, dict) else {"scores": answer}
    return row | ({"silent": True} if output["is_silent"] else {})


def explain_scores(model: PreTrainedModel) -> str:
    """Return the reason for scores of a model that are not finite.

    Args:
        model: The model.

    Raises:
        ValueError: If the reason is not the input, but the weights.
    """
    for name, weights in model.named_parameters():
        if not weights.isfinite().all():
            raise ValueError(
                f"The model cannot give scores, because its weights {name} are not finite (NaN or infinity): use a "
                "checkpoint from before its training diverged."
            )
    if model.dtype != torch.float32:
        return (
            f"The scores are not finite, because the input overflows in {show_dtype(model.dtype)}: load the model in the dtype "
            "float32."
        )
    return "The scores are not finite, although the weights are: check the input for extreme values."


def _class_entries(logits: Any, config: PreTrainedConfig, silent: dict, top_k: int | None) -> list[dict[str, Any]]:
    """Return the classes with their probabilities, the most probable first."""
    scores, classes = logits.softmax(dim=-1).sort(descending=True)
    return [
        {"label": config.id2label[number], "score": score, **silent}
        for number, score in islice(zip(classes.tolist(), scores.tolist(), strict=True), top_k)
    ]


def _dimension_entries(values: Any, config: PreTrainedConfig, silent: dict) -> list[dict[str, Any]]:
    """Return the dimensions with their values and scale, in the order of the model."""
    return [
        {"label": name, "score": value, "scale": list(config.dimension_scale), **silent}
        for name, value in zip(config.dimensions, values.tolist(), strict=True)
    ]
