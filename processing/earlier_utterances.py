"""Earlier utterances of a dialogue in the pipeline: what a model with `context_layers` reads before an utterance."""

from collections.abc import Mapping, Sequence
from typing import Any

from .text_context import SPEAKER, TEXT


def list_earlier(context: Sequence[Any], count: int) -> list[dict[str, Any]]:
    """Return the last turns of a context as utterances, oldest first, each with the turns before it as its context.

    Args:
        context: The turns, strings or mappings.
        count: The largest number of utterances.
    """
    turns = [{TEXT: turn} if isinstance(turn, str) else dict(turn) for turn in context]
    first = max(0, len(turns) - count)
    return [
        turn | {"context": turns[:number] if turn.get(SPEAKER) is not None else without_speakers(turns[:number])}
        for number, turn in enumerate(turns[first:], first)
    ]


def place_earlier(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], dict[str, tuple[int, ...]]]:
    """Return utterances with their `history` behind them, and the argument `dialogues` of a model.

    Args:
        rows: Utterances from a reader.
    """
    completed, places = list(rows), [(number, len(row["history"])) for number, row in enumerate(rows)]
    for number, row in enumerate(rows):
        completed += row["history"]
        places += [(number, turn) for turn in range(len(row["history"]))]
    names = {None: -1}
    speakers = tuple(names.setdefault(row[SPEAKER], len(names)) for row in completed)
    dialogues, turns = zip(*places, strict=True)
    return completed, {"dialogue": dialogues, "turn": turns, "speaker": speakers, "asked": (len(rows),)}


def without_speakers(turns: Sequence[Any]) -> list[Any]:
    """Return turns without their speakers, which say nothing to an utterance of an unknown speaker.

    Args:
        turns: The turns, strings or mappings.
    """
    return [{**turn, SPEAKER: None} if isinstance(turn, Mapping) else turn for turn in turns]
