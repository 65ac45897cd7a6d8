"""Batch scoring: manifests, and journals of runs that were ended."""

import shutil
from pathlib import Path
from random import Random
from typing import Any

from emofusion.inference.recordings import find_recordings
from testing_scoring import Recogniser, make_recordings, run

from .spoil_folder import spoil_folder
from .spoil_text import spoil_lines
from .target import Spoiled, Target
from .targets_corpora import build_folder, spoil_metadata


def find(valid: list[dict] | tuple[str, str]) -> list[list[Any]]:
    root = Path(valid[1] if isinstance(valid, tuple) else valid[0]["root"])
    (manifest,) = root.glob("metadata.*")
    return [[str(root), *recording] for recording in find_recordings([manifest]).recordings.values()]


def check_found(answer: list[list[Any]], intact: Any, spoiled: Spoiled) -> str | None:
    for root, _, audio, _, video, *_ in answer:
        for path in (audio, video):
            if path is not None and not Path(path).is_relative_to(root):
                return f"{path} is outside the folder of the manifest"
    return None


def build_journal(folder: Path) -> str:
    """Leave a finished table with an error, and so its journal."""
    place = folder / "scored"
    make_recordings(place / "calls", 3)
    shutil.copy(place / "calls" / "00.wav", place / "calls" / "bad.wav")
    run(Recogniser(), place / "calls", place / "scores.jsonl")
    return str(place)


def spoil_journal(random: Random, valid: str, into: Path) -> Spoiled:
    spoiled = spoil_folder(random, Path(valid), into, ("scores.jsonl.journal/*.json*",))
    return Spoiled(spoiled.what, spoiled.value)


def go_on(place: str | Path) -> int:
    if isinstance(place, str):  # the intact one, which must not change
        place = shutil.copytree(place, "again")
    return run(Recogniser(), Path(place, "calls"), Path(place, "scores.jsonl")).rows


def check_rows(answer: int, intact: int, spoiled: Spoiled) -> str | None:
    return None if answer == intact else f"{answer} rows instead of {intact}"


DIALOGUES = "audio,start,end,speaker,text,dialogue,turn\n" + "".join(
    f"{number % 3:02d}.wav,0.{number},,{'AB'[number % 2]},word {number},d{number // 4},{number % 4}\n"
    for number in range(12)
)


def build_dialogues(folder: Path) -> str:
    make_recordings(folder, 3)
    (folder / "manifest.csv").write_text(DIALOGUES)
    return str(folder)


def spoil_dialogues(random: Random, valid: str, into: Path) -> Spoiled:
    what, content = spoil_lines(random, DIALOGUES)
    for number in range(3):
        shutil.copy(Path(valid, f"{number:02d}.wav"), into)
    (into / "manifest.csv").write_bytes(content)
    return Spoiled(what, str(into))


def converse(folder: str) -> list[tuple[int, list[Any]]]:
    """Score turns of dialogues in windows or as wholes; return the number of rows, and what was read before each turn."""
    recogniser = Recogniser()
    recogniser.processor.earlier_turns = 2
    summary = run(recogniser, str(Path(folder, "manifest.csv")), "rows.jsonl")
    Path("rows.jsonl").unlink()
    shutil.rmtree("rows.jsonl.journal", ignore_errors=True)
    return [(summary.rows, [row.get("context", []) for row in recogniser.inputs])]


def check_turns(answer: list, intact: list, spoiled: Spoiled) -> str | None:
    ((_, contexts),) = answer
    return next((f"{len(one)} earlier turns" for one in contexts if len(one) > 2), None)


TARGETS = [
    Target("scoring-dialogues", "inference", build_dialogues, spoil_dialogues, converse, check_turns, 1),
    Target("scoring-manifest", "inference", build_folder, spoil_metadata, find, check_found, 2),
    Target("scoring-journal", "inference", build_journal, spoil_journal, go_on, check_rows, 2),
]
