"""Recordings and speakers that several corpora of a run have in common (ours)."""

import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from ...configuration.plain_text import show_some

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Part:
    """A corpus of a run.

    Args:
        name: Its name in the run.
        source: What two copies have in common if ids and speakers mean the same in both.
        splits: Its splits that the run uses, with ids and speakers as in the corpus itself.
        is_tested: Whether nothing is learned from it.
        speaker_independent: Whether its protocol guarantees that no speaker is in two splits.
    """

    name: str
    source: Hashable
    splits: "Mapping[str, Dataset]"
    is_tested: bool = False
    speaker_independent: bool = False


def check_overlaps(parts: Sequence[Part]) -> None:
    """Check that no two corpora of a run share recordings, or speakers where that is guaranteed, in different splits.

    Recordings are compared by file, with links resolved, and span; in two copies of one corpus also by id, because
    embedded recordings have no file. The test split may be tested again under another name.

    Args:
        parts: The corpora, those that are learned from first.

    Raises:
        ValueError: If corpora share a recording in different splits, or in one that both belong to; or if two copies of
            one corpus with speaker-independent splits share a speaker in different splits.
    """
    homes: dict[Hashable, tuple[Part, str]] = {}
    resolve = cache(os.path.realpath)
    for part in parts:
        found = {}
        for split, rows in part.splits.items():
            for key, name in _recordings(part, rows, resolve):
                found.setdefault(key, (part, split))
                other, home = homes.get(key, (part, split))
                if other is not part and (home != split or not part.is_tested):
                    raise ValueError(
                        f"{name!r} is in the {home} split of {other.name} and in the {split} split of {part.name}, which are joined in "
                        "one run; name a copy of a corpus once, or give both options with equal splits and name one in test_corpora."
                    )
        homes = found | homes
    _check_speakers(parts)


def _recordings(part: Part, rows: "Dataset", resolve: Callable[[str], str]) -> Iterator[tuple[Hashable, str]]:
    """Yield each key of the recording of each row, and the row's id. Recordings inside of rows are not read."""
    audio = rows.select_columns(["audio"]).flatten()
    names = [f"audio.{name}" for name in ("path", "start", "end")]
    columns = audio.select_columns(names).with_format("arrow")[:].to_pydict().values()
    for name, path, start, end in zip(rows["id"][:], *columns, strict=True):
        yield (part.source, name), name
        if path is not None and os.path.isabs(path):
            yield (resolve(path), start, end), name


def _check_speakers(parts: Sequence[Part]) -> None:
    homes = defaultdict(lambda: defaultdict(set))  # source -> speaker -> (corpus, split)
    for part in parts:
        if part.speaker_independent:
            for split, rows in part.splits.items():
                for speaker in set(rows["speaker"][:]) - {None}:
                    homes[part.source][speaker].add((part.name, split))
    for speakers in homes.values():
        if shared := [speaker for speaker, places in speakers.items() if len({split for _, split in places}) > 1]:
            names = sorted({name for name, _ in speakers[shared[0]]})
            raise ValueError(
                f"{' and '.join(names)} are copies of one corpus with speaker-independent splits, but have speakers in different "
                f"splits: {show_some(shared)}; give them options with equal splits."
            )
