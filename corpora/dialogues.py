"""Dialogues of a corpus: the turns before each utterance, as the column `context` of its row."""

import warnings
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import DatasetDict

# What is known of a turn. One that gives no row, because of its label or its recording, has no `id`.
TURN = ("id", "dialogue", "turn", "speaker", "text", "asr_text")
PLACE = ("dialogue", "turn", "speaker")
CONTEXT = "context"  # the column


def turn_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a turn that gives no row, from the values that its row would have had."""
    return {name: row.get(name) for name in TURN} | {"id": None}


def add_context(corpus: "DatasetDict", turns: Iterable[Mapping[str, Any]], count: int, column: str) -> "DatasetDict":
    """Return the splits with the column `context`: for each row the last turns with words before it, oldest first.

    Turns are ordered by their number; gaps do not matter. Turns that give no row count too. A turn that is a row of another
    split never does: a warning says how many dialogues are divided. A row without dialogue or number has no context, and
    speakers are None where that of the row is unknown.

    Args:
        corpus: The splits.
        turns: All turns of the corpus, with the keys `TURN`.
        count: The largest number of turns before a row.
        column: The transcripts to read, "text" or "asr_text"; turns that have none are passed over.

    Raises:
        ValueError: If two rows of a split have the same dialogue and number.
    """
    from datasets import DatasetDict, List, Value

    split_of = {name: split for split, rows in corpus.items() for name in rows["id"][:]}
    numbered = [turn for turn in turns if turn["dialogue"] is not None and turn["turn"] is not None]
    dialogues = defaultdict(lambda: defaultdict(dict))  # dialogue -> split -> number -> turn
    for turn in numbered:
        if split := split_of.get(turn["id"]):
            if turn["turn"] in dialogues[turn["dialogue"]][split]:
                raise ValueError(
                    f"The dialogue {turn['dialogue']!r} has the turn {turn['turn']} twice, such as {turn['id']!r}, so that the "
                    "turns before an utterance are unknown: number the turns of a dialogue, or leave context_turns out."
                )
            dialogues[turn["dialogue"]][split][turn["turn"]] = turn
    divided = [name for name, splits in dialogues.items() if len(splits) > 1]
    if divided:
        warnings.warn(
            f"{len(divided)} of {len(dialogues)} dialogues are in several splits, such as {divided[0]}: the turns of another "
            "split are left out of the context.",
            stacklevel=2,
        )
    for turn in numbered:
        if turn["id"] not in split_of:
            for known in dialogues.get(turn["dialogue"], {}).values():
                known.setdefault(turn["turn"], turn)
    spoken = {
        (name, split): sorted(
            (number, turn["speaker"], turn[column]) for number, turn in known.items() if _says(turn, column)
        )
        for name, splits in dialogues.items()
        for split, known in splits.items()
    }
    feature = List({"speaker": Value("string"), "text": Value("string")})
    found = {}
    for split, rows in corpus.items():
        contexts = []
        for name, number, speaker in zip(*(rows[column][:] for column in PLACE), strict=True):
            earlier = spoken.get((name, split), []) if number is not None else []
            end = bisect_left(earlier, number, key=lambda turn: turn[0]) if earlier else 0
            contexts.append(
                [
                    {"speaker": None if speaker is None else other, "text": text}
                    for _, other, text in earlier[max(0, end - count) : end]
                ]
            )
        found[split] = rows.add_column(CONTEXT, contexts, feature=feature)
    return DatasetDict(found)


def _says(turn: Mapping[str, Any], column: str) -> bool:
    return bool((turn[column] or "").strip())
