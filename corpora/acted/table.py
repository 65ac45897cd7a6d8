"""The description of an acted corpus: what its file names mean, and how the field divides it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..records import ScanOptions

ALL = "all"  # the value of an option that chooses nothing
NAMED = 6  # speakers of a split that are named, more are counted


def choice(default: str, *choices: str, text: str) -> Any:
    """Return the field of an option with these choices, the default among them, and its help."""
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class ActedScanOptions(ScanOptions):
    """Options that determine a prepared acted corpus. A corpus adds its own in a subclass."""

    def __post_init__(self):
        super().__post_init__()
        for option in fields(self):
            choices, value = option.metadata.get("choices"), getattr(self, option.name)
            if choices and value not in choices:
                raise ValueError(f"{option.name} must be one of {', '.join(choices)}, not {value!r}.")


@dataclass(frozen=True, kw_only=True)
class FilmedScanOptions(ActedScanOptions):
    """Options of a corpus with videos."""

    video: bool = field(default=True, metadata={"help": "Whether rows have their videos, where there are any."})
    faces: bool = field(
        default=False, metadata={"help": "Crop the videos to the largest face where one is found; needs scikit-image."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.faces and not self.video:
            raise ValueError("faces is true and video is false: without videos there is no face to find.")


class Part(NamedTuple):
    """The utterances of a split.

    Args:
        speakers: Codes of the speakers.
        sentences: Codes of the sentences, or None for all.
    """

    speakers: Sequence[str]
    sentences: Sequence[str] | None = None


class Protocol(NamedTuple):
    """A way to divide a corpus.

    Args:
        title: Its name and source in a sentence, such as "Leave-one-speaker-out".
        folds: The parts of each fold, by split.
    """

    title: str
    folds: Sequence[Mapping[str, Part]]


def rotate(groups: Sequence[Sequence[str]]) -> list[dict[str, Part]]:
    """Return one fold for each group of speakers: it is the test split, the next group validation, the others training."""
    folds = []
    for number, test in enumerate(groups):
        validation = groups[(number + 1) % len(groups)]
        train = [name for group in groups for name in group if name not in (*test, *validation)]
        folds.append({"train": Part(train), "validation": Part(validation), "test": Part(test)})
    return folds


@dataclass(frozen=True, kw_only=True)
class ActedTable:
    """The description of an acted corpus.

    Args:
        title: Name of the corpus.
        language: BCP-47 code.
        license: Licence, for cards.
        holds: Example of its files, for errors.
        pattern: Pattern of the last folder, a slash and the name without suffix, in any case. Its groups are codes:
            `speaker` and `emotion`, and optionally `sentence`, `intensity`, `take` and others.
        name: Format of an id, from the codes. It matches the pattern, too.
        codes: The codes of a group and their meaning: the gender of a speaker, the label of an emotion, the text of a
            sentence (None if unknown). A name with another code belongs to no utterance. Groups without codes are free.
        protocols: Ways to divide the corpus by name, the default first.
        aliases: Other spellings of codes, in lower case.
        sound: Codes of the group `modality` whose files have sound, the preferred first; () without such a group.
        labels: Function of the options that returns the labels by emotion code, in the order of the class numbers; codes
            that it leaves out are not used.
        published: Function of the options that returns the published counts, see `DiskCorpus.published_counts`.
        count_by: See `DiskCorpus`.
        known: Problems that every copy has, as `{id: reason}`.
        votes_table: Name of the file with the raters' votes, or None.
        read_votes: Function `(path, options) -> {id: {emotion code: votes}}`.
    """

    title: str
    language: str
    license: str
    holds: str
    pattern: str
    name: str
    codes: Mapping[str, Mapping[str, str | None]]
    protocols: Mapping[str, Protocol]
    aliases: Mapping[str, str] = field(default_factory=dict)
    sound: Sequence[str] = ()
    labels: Callable[[Any], Mapping[str, str]] | None = None
    published: Callable[[Any], Mapping[str, Mapping[str, int]]] = lambda options: {}
    count_by: str = "speaker"
    known: Mapping[str, str] = field(default_factory=dict)
    votes_table: str | None = None
    read_votes: Callable[[Path, Any], Mapping[str, Mapping[str, int]]] | None = None

    @cached_property
    def _pattern(self) -> re.Pattern:
        return re.compile(self.pattern, re.ASCII | re.IGNORECASE)

    @cached_property
    def _spellings(self) -> dict[str, dict[str, str]]:
        """The codes of each group by their spelling in lower case."""
        return {group: {code.lower(): code for code in codes} for group, codes in self.codes.items()}

    def parse(self, folder: str, stem: str) -> dict[str, str] | None:
        """Return the codes in the name of a file, in the spelling of `codes`; None if it is none of this corpus.

        Args:
            folder: Name of the folder that contains the file.
            stem: Name of the file without its suffix.
        """
        match = self._pattern.fullmatch(f"{folder}/{stem}")
        if match is None:
            return None
        found = {}
        for group, code in match.groupdict(default="").items():
            plain = code.lower()
            plain = self.aliases.get(plain, plain).lower()
            found[group] = self._spellings[group].get(plain) if group in self.codes else plain
        return None if None in found.values() else found

    def label_by_code(self, options: ActedScanOptions) -> Mapping[str, str]:
        """Return the labels by emotion code, in the order of the class numbers."""
        return self.labels(options) if self.labels else self.codes["emotion"]

    def find_part(self, fold: Mapping[str, Part], name: str, speaker: str) -> str | None:
        """Return the split of an utterance in a fold, or None if it is in none of them.

        Args:
            fold: The parts by split.
            name: Its id.
            speaker: Its speaker.
        """
        for split, part in fold.items():
            if speaker in part.speakers and (
                part.sentences is None or self.parse("", name)["sentence"] in part.sentences
            ):
                return split
        return None

    def describe_part(self, part: Part) -> str:
        """Return the speakers of a split in words, and how many of the sentences they say."""
        speakers = part.speakers
        words = f"the speaker{'s' if len(speakers) > 1 else ''} {', '.join(speakers)}"
        if len(speakers) > NAMED:
            words = f"{len(speakers)} speakers"
        if part.sentences is None:
            return words
        return f"{words} with {len(part.sentences)} of {len(self.codes['sentence'])} sentences"
