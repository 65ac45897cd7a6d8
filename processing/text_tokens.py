"""Tokens of transcripts, and a warning where one is longer than the model takes."""

from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerBase
from transformers.utils import logging

logger = logging.get_logger(__name__)


def tokenize(texts: list[str], tokenizer: PreTrainedTokenizerBase, padding: bool | str) -> BatchEncoding:
    """Return the tokens of texts, without those behind the tokenizer's `model_max_length`; a warning says so once.

    Args:
        texts: The texts.
        tokenizer: The tokenizer.
        padding: As in the tokenizer.

    Returns:
        `input_ids` and `attention_mask` `(texts, tokens)`, padded on the right.
    """
    options: dict[str, Any] = {"return_token_type_ids": False, "verbose": False}
    tokens = tokenizer(
        texts,
        padding=padding,
        truncation=True,
        padding_side="right",  # as the models need it, whatever the tokenizer pads by default
        return_attention_mask=True,
        return_tensors="np",
        **options,
    )
    longest = tokenizer.model_max_length
    full = [text for text, mask in zip(texts, tokens["attention_mask"], strict=True) if mask.sum() >= longest]
    # A text of exactly that length is whole.
    if full and any(len(ids) > longest for ids in tokenizer(full, **options)["input_ids"]):
        logger.warning_once(
            f"A text is longer than the {longest} tokens that this model takes: its end is not used. Divide long texts, with "
            "their recordings."
        )
    return tokens
