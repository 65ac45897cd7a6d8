"""Answers of the pipeline: the named scores of one utterance."""

from collections.abc import Mapping
from itertools import islice
from typing import Any

from transformers import PreTrainedConfig


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
