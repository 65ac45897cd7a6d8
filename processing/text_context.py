"""Text context: the turns of a dialogue before an utterance, with marks of their speakers, as tokens before its own (ours).

The marks are letters relative to the utterance: its own speaker is A, the last other speaker B, the one before C. They
take the place of the names that EmoBERTa (Kim and Vossen 2021, arXiv 2108.12009) writes before each turn, because a name
says nothing about a speaker who is new, as in a leave-one-session-out fold. As there, one pair of separators divides the
past from the utterance: `[CLS] B: Really? A: Yes. [SEP] I am so glad. [SEP]`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..configuration.modalities import CONTEXT_INPUT

MARKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # the last one stands for all further speakers
MOST_TURNS = 1000
# Keys of a turn that are read here. A turn may have others, as its recording.
SPEAKER, TEXT = "speaker", "text"


class Turn(NamedTuple):
    """An earlier turn: its words, and the name of its speaker, None where unknown."""

    text: str
    speaker: str | None


def read_turns(context: Any, name: str, speaker: Any = None) -> list[Turn]:
    """Return the turns of a context that have words, after a check.

    Args:
        context: Turns, oldest first: strings, or mappings with `text` and, where known, `speaker`. None means no context.
        name: The name of the context in errors.
        speaker: The speaker of the utterance; None where unknown.

    Raises:
        TypeError: If it is no list of turns, or a text or speaker is no string.
        ValueError: If speakers are named, but that of the utterance is not: the marks say who is who relative to it.
    """
    if not isinstance(context, (list, tuple, type(None))):
        raise TypeError(f"{name} must be a list of earlier turns, oldest first, not {type(context).__name__}.")
    if not isinstance(speaker, (str, type(None))):
        raise TypeError(f"The speaker of {name} must be a string, not {type(speaker).__name__}.")
    turns = []
    for number, turn in enumerate(context or ()):
        if not isinstance(turn, (str, Mapping)):
            raise TypeError(f"{name}[{number}] must be a string or a mapping, not {type(turn).__name__}.")
        values = {TEXT: turn} if isinstance(turn, str) else turn
        found = Turn(values.get(TEXT), values.get(SPEAKER))
        for key, value in found._asdict().items():
            if not isinstance(value, (str, type(None))):
                raise TypeError(f"{name}[{number}] has a {key} that is {type(value).__name__}, not a string.")
        if (found.text or "").strip():
            turns.append(found)
    if speaker is None and (named := next((turn.speaker for turn in turns if turn.speaker is not None), None)):
        raise ValueError(
            f"{name} names the speaker {named!r}, but the speaker of the utterance is unknown: give it as speaker, or leave "
            "the speakers of the context out."
        )
    return turns


def mark_turns(turns: Sequence[Turn], speaker: str | None) -> str:
    """Return turns as one text, each after the mark of its speaker; a turn of an unknown speaker has no mark.

    Args:
        turns: The turns, oldest first.
        speaker: The speaker of the utterance.
    """
    marks = {speaker: MARKS[0]}
    for turn in reversed(turns):
        if turn.speaker is not None and turn.speaker not in marks:
            marks[turn.speaker] = MARKS[min(len(marks), len(MARKS) - 1)]
    return " ".join(turn.text if turn.speaker is None else f"{marks[turn.speaker]}: {turn.text}" for turn in turns)


def check_context(turns: Any, tokens: Any, has_tokenizer: bool = True) -> None:
    """Check the settings of the text context.

    Raises:
        TypeError: If one is no whole number.
        ValueError: If one is out of range, or is given without the other or without a tokenizer.
    """
    for name, value in (("context_turns", turns), ("context_tokens", 1 if tokens is None else tokens)):
        if type(value) is not int:
            raise TypeError(f"{name} must be a whole number, not {value!r} of type {type(value).__name__}.")
    if not 0 <= turns <= MOST_TURNS:
        raise ValueError(f"context_turns must be from 0 to {MOST_TURNS}, not {turns}.")
    if tokens is not None and (tokens < 1 or not turns):
        raise ValueError(f"context_tokens must be at least 1, with context_turns; it is {tokens} with {turns} turns.")
    if turns and not has_tokenizer:
        raise ValueError(f"context_turns is {turns}, but the processor has no tokenizer: leave it out.")


def add_context(
    tokens: Mapping[str, np.ndarray], contexts: Sequence[str], tokenizer: Any, context_tokens: int | None
) -> dict[str, np.ndarray]:
    """Return tokens of utterances with those of their contexts before them.

    The utterance keeps all its tokens. A context is cut at its oldest end, between two tokens, to `context_tokens` and to
    what the utterance leaves of the tokenizer's `model_max_length`.

    Args:
        tokens: `input_ids` and `attention_mask` of the utterances, `(rows, tokens)`, padded on the right.
        contexts: The context of each row as one text; "" where it has none.
        tokenizer: The tokenizer.
        context_tokens: The largest number of tokens of a context, marks included; None means no other limit.

    Returns:
        `input_ids` and `attention_mask`, and `context_lengths` `(rows,)`: the tokens of the context and the separators after
        it. The token types of BERT, which the batch does not have, are 0 for both parts.
    """
    plain = [context for context in contexts if context]
    if not plain:
        return {**tokens, CONTEXT_INPUT: np.zeros(len(contexts), dtype=np.int64)}
    options = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    found = iter(tokenizer(plain, add_special_tokens=False, **options)["input_ids"])
    first, separators = _find_separators(tokenizer)
    ids, lengths = [], []
    for row, mask, context in zip(tokens["input_ids"], tokens["attention_mask"], contexts, strict=True):
        own = row[mask == 1].tolist()
        earlier = next(found) if context else []
        room = tokenizer.model_max_length - len(own) - len(separators)
        size = max(0, room if context_tokens is None else min(room, context_tokens))
        added = [*earlier[-size:], *separators] if size and earlier else []
        ids.append([*own[:first], *added, *own[first:]])
        lengths.append(len(added))
    longest = max(tokens["input_ids"].shape[1], *map(len, ids))
    counts = np.array(list(map(len, ids)))
    padded = np.full((len(ids), longest), tokenizer.pad_token_id, dtype=tokens["input_ids"].dtype)
    for row, own in zip(padded, ids, strict=True):
        row[: len(own)] = own
    mask = (np.arange(longest) < counts[:, None]).astype(tokens["attention_mask"].dtype)
    return {"input_ids": padded, "attention_mask": mask, CONTEXT_INPUT: np.array(lengths, dtype=np.int64)}


def _find_separators(tokenizer: Any) -> tuple[int, list[int]]:
    """Return how many special tokens a tokenizer puts before a text, and those that it puts between a pair of texts."""
    pair = tokenizer("a", "a", return_special_tokens_mask=True)
    mask = pair["special_tokens_mask"]
    first = mask.index(0)
    start = mask.index(1, first)
    return first, pair["input_ids"][start : mask.index(0, start)]
