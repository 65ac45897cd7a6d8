"""Calls of the pipeline that cut recordings, and earlier turns of a conversation."""

from pathlib import Path
from random import Random
from typing import Any

import soundfile
from testing_meld import tone
from testing_pipeline import RATE
from testing_pipeline import build as build_pipeline

from .spoil_trees import spoil_tree
from .target import Spoiled, Target

PIPELINES, SECONDS = {}, 1.2
TURNS = [
    {"speaker": "Ann", "text": "hello there"},
    {"speaker": "Ben", "text": "go away"},
    {"speaker": "Ann", "text": None},
]


def build_windows(folder: Path) -> dict[str, Any]:
    """Return sets of arguments of a pipeline that takes 0.6 s, which is loaded beforehand."""
    PIPELINES["windows"] = build_pipeline(settings={"longest_seconds": 0.6})
    path = str(folder / "a.wav")
    soundfile.write(path, tone(SECONDS, 300), RATE)
    segments = [
        {"start": 0.0, "end": 0.5, "speaker": "Ann", "text": "hello there"},
        {"start": 0.4, "end": 1.2},
    ]
    words = {"start": [0.1, 0.7], "end": [0.4, 1.1], "symbol": ["hello", "there"]}
    span = {"path": path, "start": 0.1, "end": 1.1}
    return {
        "windows": {"inputs": {"audio": span}, "window_seconds": 0.5, "hop_seconds": 0.25, "batch_size": 2},
        "seconds": {"inputs": {"audio": path}, "window_seconds": "auto", "batch_seconds": 1.0, "timeout": 5.0},
        "segments": {"inputs": {"audio": path}, "segments": segments, "window_seconds": 0.6, "batch_size": 2},
        "own": {"inputs": {"audio": path, "segments": segments, "speaker": "Ben"}, "top_k": None},
        "words": {
            "inputs": [{"audio": path, "text": "hello there", "alignment": {"word": words}}],
            "window_seconds": 0.6,
            "on_error": "raise",
        },
    }


def build_context(folder: Path) -> dict[str, Any]:
    """Return sets of arguments of a pipeline that reads two earlier turns, which is loaded beforehand."""
    PIPELINES["context"] = build_pipeline(settings={"context_turns": 2, "context_tokens": 8, "longest_seconds": 0.6})
    utterance = {"audio": {"array": tone(0.4, 300), "sampling_rate": RATE}, "text": "what a morning"}
    long = {"array": tone(SECONDS, 300), "sampling_rate": RATE}
    segments = [{"start": 0.0, "end": 0.5, "text": "hello"}, {"start": 0.5, "end": 1.0, "text": "go away"}]
    return {
        "own": {"inputs": {**utterance, "speaker": "Ben", "context": TURNS}},
        "call": {"inputs": [utterance, {"text": "go", "context": ["hello"]}], "context": ["hello there", "go"]},
        "segments": {"inputs": {"audio": long, "context": ["hello"]}, "segments": segments},
    }


def spoil_call(random: Random, valid: dict[str, Any], folder: Path) -> Spoiled:
    """Spoil one of the sets of arguments."""
    name = random.choice(list(valid))
    what, arguments, _ = spoil_tree(random, valid[name])
    return Spoiled(f"{name}: {what}", {name: arguments})


def recognise_with(name: str, sets: dict[str, Any]) -> dict[str, list[tuple]]:
    """Return start, end, speaker and the sum of scores of each row of each call; of an utterance without times the sum."""
    return {what: _rows(PIPELINES[name], dict(arguments)) for what, arguments in sets.items()}


def _rows(recognise: Any, arguments: dict[str, Any]) -> list[tuple]:
    found = recognise(arguments.pop("inputs", None), **arguments)
    found = found if not found or isinstance(found[0], list) else [found]
    rows = [row if "scores" in row else {"scores": answer} for answer in found for row in answer]
    top = arguments.get("top_k") is None
    return [
        (
            row.get("start"),
            row.get("end"),
            row.get("speaker"),
            sum(one["score"] for one in row["scores"]) if top else 1,
        )
        for row in rows
    ]


def check_rows(answer: dict[str, list[tuple]], intact: Any, spoiled: Spoiled) -> str | None:
    for start, end, _, total in (row for rows in answer.values() for row in rows):
        if abs(total - 1) > 1e-4:
            return f"probabilities sum to {total}"
        if start is not None and not 0 <= start < end <= SECONDS + 1e-6:
            return f"a row from {start} to {end} s of a recording of {SECONDS} s"
    return None


TARGETS = [
    Target(
        *("windows", "inference", build_windows, spoil_call, lambda sets: recognise_with("windows", sets), check_rows),
        weight=2,
        lenient=True,
    ),
    Target(
        *("context", "inference", build_context, spoil_call, lambda sets: recognise_with("context", sets), check_rows),
        weight=2,
        lenient=True,
    ),
]
