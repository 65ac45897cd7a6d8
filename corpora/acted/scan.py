"""Scan a copy of an acted corpus: its recordings and videos, found by their names in any folders."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from ..corpus_files import find_root, list_tree
from ..records import Scan, problem
from .table import ALL, ActedScanOptions, ActedTable

# Suffixes of recordings, the preferred first: the same utterance may be on disk in several encodings.
RECORDINGS = (".wav", ".flac", ".aiff", ".aif", ".au", ".m4a", ".ogg", ".opus", ".mp3", ".aac")
VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".flv", ".mpg", ".mpeg")
POINTER = b"version https://git-lfs"  # the first bytes of a file whose content Git LFS has not fetched
POINTER_SIZE = 1024  # bytes, the maximum
ACTED, PERCEIVED = "acted", "perceived"


@dataclass
class Take:
    """The files of an utterance.

    Args:
        codes: The codes in its name.
        audio: Candidates for the recording, as `{preference: path}`; the lowest is used.
        video: Candidates for the video.
    """

    codes: Mapping[str, str]
    audio: dict[tuple[int, int], str] = field(default_factory=dict)
    video: dict[tuple[int, int], str] = field(default_factory=dict)


def scan_acted(table: ActedTable, root: str | Path | None, options: ActedScanOptions) -> Scan:
    """Scan a copy; no recording and no video is opened.

    The problems are utterances that are left out ("other emotion", "not chosen" by an option, "no majority" of the raters'
    votes, "missing audio", "not fetched" by Git LFS), folders with recordings of other names ("unknown name") or with a
    second copy of the same utterances ("duplicate"), votes that cannot be read, and files that were not read.

    Args:
        table: Description of the corpus.
        root: A folder that contains its files, in any subfolders.
        options: The options of the scan.

    Raises:
        FileNotFoundError: If there is no folder `root`.
        ValueError: If no file in it has a name of this corpus, or the votes that an option needs cannot be read.
    """
    root, problems = find_root(table.title, root, lambda _: True, table.holds).resolve(), []
    takes, votes_file = _find_takes(table, root, problems)
    if not takes:
        raise ValueError(f"{root} is not the root of {table.title}: it has no {table.holds}.")
    votes = _read_votes(table, votes_file, root, options, problems)
    labels = list(dict.fromkeys(table.label_by_code(options).values()))
    return Scan(root, labels, _rows(table, takes, votes, labels, options, problems), problems, [root])


def _find_takes(table: ActedTable, root: Path, problems: list[dict]) -> tuple[dict[str, Take], Path | None]:
    """Return the utterances by id, sorted, and the file of votes; count other recordings per folder."""
    takes, votes_file, others, copies = {}, None, {}, {}
    for folder, name, path in list_tree(root, problems):
        stem, suffix = os.path.splitext(name)
        suffix = suffix.lower()
        if table.votes_table and name.lower() == table.votes_table.lower():
            votes_file = votes_file or Path(path)
        if suffix not in (*RECORDINGS, *VIDEOS):
            continue
        codes = table.parse(os.path.basename(folder or root), stem)
        if codes is None:
            others.setdefault(folder, []).append(name)
            continue
        take = takes.setdefault(table.name.format(**codes), Take(codes))
        twin = _add_file(table, take, codes, suffix, path)
        if twin:
            first = os.path.relpath(os.path.dirname(twin), root)
            copies.setdefault((folder, root.name if first == "." else first), []).append(name)
    for folder, names in others.items():
        what = (
            f"{folder or root.name} has {len(names):,} files whose names are none of {table.title}, such as {names[0]}"
        )
        problems.append(problem("unknown name", f"{what}: they are left out.", folder or None, dropped=True))
    for (folder, first), names in copies.items():
        what = f"{folder or root.name} has {len(names):,} utterances that are also in {first}, such as {names[0]}"
        problems.append(problem("duplicate", f"{what}: the latter are used.", folder or None))
    return dict(sorted(takes.items())), votes_file


def _add_file(table: ActedTable, take: Take, codes: Mapping[str, str], suffix: str, path: str) -> str | None:
    """Add a file to the candidates for sound and video; return the path of one that takes its place already."""
    modality = codes.get("modality", "")
    has_sound = not table.sound or modality in table.sound
    order = table.sound.index(modality) if table.sound and has_sound else len(table.sound)
    if suffix in RECORDINGS:
        if not has_sound:
            return None
        key = order, RECORDINGS.index(suffix)
        return take.audio[key] if take.audio.setdefault(key, path) != path else None
    key = order, VIDEOS.index(suffix)
    if has_sound:
        take.audio.setdefault((1 + len(table.sound) + order, key[1]), path)  # after all recordings
    return take.video[key] if take.video.setdefault(key, path) != path else None


def _read_votes(
    table: ActedTable, file: Path | None, root: Path, options: Any, problems: list[dict]
) -> Mapping[str, Mapping[str, int]]:
    """Return the votes by id and emotion code, none if there is no table of votes."""
    needed = getattr(options, "labels", ACTED) == PERCEIVED
    if file is None:
        if needed:
            raise ValueError(
                f"{root} has no {table.votes_table}, which labels: {PERCEIVED} needs: copy it from the corpus, or use "
                f"labels: {ACTED}."
            )
        return {}
    try:
        return table.read_votes(file, options)
    except ValueError as error:
        if needed:
            raise
        place = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name
        problems.append(problem("unreadable votes", f"No row has a soft label: {error}", place))
        return {}


def _rows(
    table: ActedTable,
    takes: Mapping[str, Take],
    votes: Mapping[str, Mapping[str, int]],
    labels: list[str],
    options: Any,
    problems: list[dict],
) -> Iterator[dict]:
    label_of, perceived = table.label_by_code(options), getattr(options, "labels", ACTED) == PERCEIVED
    for name, take in tqdm(takes.items(), desc=f"Scanning {table.title}", unit=" utterances", disable=None):
        emotion = _majority(votes.get(name, {})) if perceived else take.codes["emotion"]
        audio = take.audio[min(take.audio)] if take.audio else None
        if perceived and name not in votes:
            what = f"{name} is dropped: {table.votes_table} has no votes for it."
            problems.append(problem("missing votes", what, audio, name, dropped=True))
        elif reason := _reason_to_leave_out(table, take, emotion, label_of, audio, options):
            kind, why, known = reason
            problems.append(problem(kind, f"{name} is dropped: {why}.", audio, name, dropped=True, known=known))
        else:
            if emotion is None:
                what = f"{name} is kept without a label: no emotion has most of the raters' votes."
                problems.append(problem("no majority", what, audio, name, known=True))
            speaker = take.codes["speaker"]
            yield {
                "id": name,
                "audio": {"path": audio},
                "text": table.codes.get("sentence", {}).get(take.codes.get("sentence")),
                "label": label_of.get(emotion),
                "soft_label": _share_votes(votes.get(name, {}), label_of, labels),
                "speaker": speaker,
                "gender": table.codes["speaker"][speaker],
                "scripted": True,
                "video": _video(take, options),
            }


def _reason_to_leave_out(
    table: ActedTable, take: Take, emotion: str | None, label_of: Mapping[str, str], audio: str | None, options: Any
) -> tuple[str, str, bool] | None:
    """Return the kind of problem, the reason, and whether every copy has it, if an utterance cannot be used; else None."""
    for group, codes in table.codes.items():
        wanted, value = getattr(options, group, ALL), codes.get(take.codes.get(group))
        if wanted not in (ALL, value):
            return "not chosen", f"its {group} is {value}", True
    if emotion is None:
        if not options.keep_ties:
            return "no majority", "no emotion has most of the raters' votes", True
    elif emotion not in label_of:
        return "other emotion", f"{table.codes['emotion'][emotion]} is not among the classes", True
    if audio is None:
        return "missing audio", "there is a video without sound, but no recording", False
    if is_pointer(audio):
        return "not fetched", "its file names content that Git LFS has not fetched; run `git lfs pull` there", False
    return None


def is_pointer(path: str) -> bool:
    """Return whether a file is a pointer of Git LFS in place of its content."""
    try:
        if os.path.getsize(path) > POINTER_SIZE:
            return False
        with open(path, "rb") as file:
            return file.read(len(POINTER)) == POINTER
    except OSError:
        return False  # decoding names the fault


def _video(take: Take, options: Any) -> dict | None:
    if not getattr(options, "video", False) or not take.video:
        return None
    path = take.video[min(take.video)]
    return None if is_pointer(path) else {"path": path, "crop": "face" if options.faces else None}


def _majority(votes: Mapping[str, int]) -> str | None:
    """Return the emotion with most votes; None without votes or if several have as many."""
    most = max(votes.values(), default=0)
    winners = [code for code, count in votes.items() if count == most]
    return winners[0] if most and len(winners) == 1 else None


def _share_votes(votes: Mapping[str, int], label_of: Mapping[str, str], labels: list[str]) -> list[float] | None:
    """Return the distribution of the votes over the classes; None without a vote for any of them."""
    shares = Counter()
    for code, count in votes.items():
        if code in label_of:
            shares[label_of[code]] += count
    return [shares[label] / shares.total() for label in labels] if shares.total() else None
