"""Words of a text that is explained, and the tokens that belong to them."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from .explanation_records import Word

MOST_WORDS = 48  # with more, neighbouring words are taken together: as many fit into a picture
# Chinese and Japanese are written without spaces: each of their characters counts as a word.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
WORD = re.compile(rf"[{UNSPACED}]|[^\s{UNSPACED}]+")

Span = tuple[int, int]


def split_words(texts: Sequence[str], is_context: bool = False) -> tuple[list[Word], int]:
    """Return the words of texts, and how many neighbours are taken together as one, 1 if they are few.

    Args:
        texts: The text of the utterance as far as it is read, or the turns of its context, oldest first.
        is_context: Whether the words belong to the context.
    """
    found = [list(WORD.finditer(text)) for text in texts]
    size = max(1, -(-sum(map(len, found)) // MOST_WORDS))
    words = []
    for turn, matches in enumerate(found):
        for first in range(0, len(matches), size):
            group = matches[first : first + size]
            start, end = group[0].start(), group[-1].end()
            words.append(Word(texts[turn][start:end], start, end, turn if is_context else None))
    return words, size


def without_word(text: str, word: Word) -> str:
    """Return a text without a word and without the space that separated it.

    Args:
        text: The text.
        word: One of its words.
    """
    left, right = text[: word.start], text[word.end :]
    if not right.strip():
        return left.rstrip()
    return left + (right.lstrip() if not left or left[-1].isspace() else right)


def token_spans(tokenizer: Any, text: str) -> list[Span] | None:
    """Return the place of each token of a text, as the processor makes them; None if the tokenizer does not know them.

    Args:
        tokenizer: The tokenizer.
        text: The text.

    Returns:
        First and last position in the text, `(0, 0)` for special tokens.
    """
    if not tokenizer.is_fast:
        return None
    return tokenizer(text, truncation=True, return_offsets_mapping=True, verbose=False)["offset_mapping"]


def share_tokens(words: Sequence[Word], spans: Sequence[Span]) -> np.ndarray:
    """Return the share of each token that belongs to each word, by characters.

    Args:
        words: Words of a text.
        spans: The places of its tokens.

    Returns:
        `(words, tokens)`; the column of a token sums to 1, or to 0 for one that belongs to no word.
    """
    starts, ends = (np.array(bounds).reshape(-1, 1) for bounds in ([w.start for w in words], [w.end for w in words]))
    first, last = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    overlap = (np.minimum(ends, last) - np.maximum(starts, first)).clip(0)
    return overlap / overlap.sum(axis=0).clip(1)


def merge_attended(weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the attention that words receive: the sum of that of their tokens.

    Args:
        weights: `(times, tokens)`.
        shares: The result of `share_tokens`.

    Returns:
        `(words, times)`.
    """
    return shares @ weights.T


def merge_attending(weights: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the attention of words: the mean of that of their tokens; zeros for a word without tokens.

    Args:
        weights: `(tokens, times)`.
        shares: The result of `share_tokens`.

    Returns:
        `(words, times)`.
    """
    totals = shares.sum(axis=1, keepdims=True)
    return shares @ weights / np.where(totals > 0, totals, 1)


def read_part(text: str, spans: Sequence[Sequence[Span] | None]) -> str:
    """Return a text up to the last word with a token of any tokenizer: each cuts what its encoder does not take.

    Args:
        text: The text.
        spans: The places of its tokens by tokenizer; None where unknown, and the text is then taken as read.
    """
    if any(places is None for places in spans):
        return text
    last = max((end for places in spans for _, end in places), default=0)
    return text[: max((word.end() for word in WORD.finditer(text) if word.start() < last), default=0)]
