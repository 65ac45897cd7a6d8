"""Arguments that select the corpora of a run, and their values by corpus (ours)."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..configuration.plain_text import did_you_mean, join_words, show_value
from ..corpora.joining.label_map import check_names, read_label_map
from ..corpora.joining.selection import Selection, corpus_of
from ..corpora.registry import CORPORA
from .argument_checks import check_choice

# Columns of a corpus that hold transcripts.
TEXT_COLUMNS = ("text", "asr_text")
# argument -> type of the value of one corpus
KINDS = {"corpus_root": str, "corpus_options": Mapping, "text_column": str}

# What follows the colon in the name of a copy of a corpus; it becomes a part of names of files and folders.
COPY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass
class CorpusArguments:
    """The corpora of a run."""

    corpus: str | list[str] = field(
        default="spoken",
        metadata={
            "help": "Name of the corpus, or names of several that are joined. Two copies of one have names such as folder:calls "
            "and folder:films."
        },
    )
    corpus_root: str | dict | None = field(
        default=None, metadata={"help": "Folder of the corpus; with several corpora a mapping by corpus."}
    )
    corpus_options: dict | None = field(
        default_factory=dict,
        metadata={"help": "Options of the corpus, as a mapping; with several corpora a mapping of these by corpus."},
    )
    label_map: dict | None = field(
        default_factory=dict,
        metadata={
            "help": "Class of each label, by corpus, such as {iemocap: {happy: joy, excited: joy, frustrated: null}}; null "
            "drops the utterances. A label that is not named must be the name of a class, or a label of every corpus."
        },
    )
    test_corpora: list[str] | None = field(
        default_factory=list,
        metadata={
            "help": "Other corpora, whose test splits are predicted and scored after the training. Their folders, options and "
            "labels are given by corpus, too."
        },
    )
    dimension_scale: list[float] | None = field(
        default=None,
        metadata={
            "help": "Lowest and highest value of valence, arousal and dominance, to which those of every corpus are rescaled; "
            "by default the scale of the first corpus."
        },
    )
    text_column: str | dict = field(
        default="text",
        metadata={
            "help": 'Transcripts to read: "text" for manual ones, "asr_text" for those of a speech recogniser; with several '
            "corpora also a mapping by corpus."
        },
    )

    def __post_init__(self):
        self.corpus_options = dict(self.corpus_options or {})
        self.test_corpora = list(self.test_corpora or [])
        if isinstance(self.corpus, list) and len(self.corpus) == 1:
            self.corpus = self.corpus[0]
        self.label_map = read_label_map(self.label_map, check_corpora(self.corpora, self.test_corpora))
        check_dimension_scale(self.dimension_scale)
        for column in self._by_corpus("text_column").values():
            check_choice("text_column", column, TEXT_COLUMNS)
        for options in self._by_corpus("corpus_options").values():
            for name, argument in (("name", "corpus"), ("root", "corpus_root")):
                if name in options:
                    raise ValueError(f"corpus_options has {name!r}, which is an argument of its own: use {argument}.")
        self._by_corpus("corpus_root")

    @property
    def corpora(self) -> list[str]:
        """The names of the corpora to learn from."""
        return [self.corpus] if isinstance(self.corpus, str) else self.corpus

    @property
    def corpus_name(self) -> str:
        """The names of the corpora to learn from, as words."""
        return join_words(self.corpora)

    @property
    def selection(self) -> Selection:
        """The corpora of the run."""
        return Selection(
            names=self.corpora,
            tested=self.test_corpora,
            roots=self._by_corpus("corpus_root"),
            options=self._by_corpus("corpus_options"),
            texts=self._by_corpus("text_column"),
            label_map=self.label_map,
            dimension_scale=self.dimension_scale,
        )

    @property
    def fold(self) -> int | None:
        """The number of the fold that the options select, None if the corpora have none or different ones."""
        folds = {options.get("fold") for options in self._by_corpus("corpus_options").values()} - {None}
        return folds.pop() if len(folds) == 1 else None

    def options_of(self, fold: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the corpus options of a fold.

        Args:
            fold: Options by corpus, an item of `Selection.folds`.
        """
        options = self._by_corpus("corpus_options")
        merged = {name: {**options.get(name, {}), **fold.get(name, {})} for name in {**options, **fold}}
        return merged if self._is_joint else merged.get(self.corpora[0], {})

    @property
    def _is_joint(self) -> bool:
        return len(self.corpora) + len(self.test_corpora) > 1

    def _by_corpus(self, argument: str) -> dict[str, Any]:
        """Return the values of an argument by corpus.

        Raises:
            ValueError: If the run has several corpora and the argument is not by corpus.
        """
        return by_corpus(argument, getattr(self, argument), [*self.corpora, *self.test_corpora])


def check_corpora(learned: Sequence[str], tested: Sequence[str]) -> list[str]:
    """Return the names of all corpora of a run.

    Raises:
        ValueError: If there is none, one is given twice, there is no corpus of that name, or the name after a colon has other
            characters than letters, digits, `_` and `-`.
    """
    if not learned:
        raise ValueError("corpus is an empty list; name one or more corpora.")
    for argument, names in (("corpus", learned), ("test_corpora", tested)):
        for place, name in enumerate(names):
            if name in names[:place]:
                raise ValueError(
                    f"{argument} has {show_value(name)} twice; name two copies of a corpus {corpus_of(name)}:first and "
                    f"{corpus_of(name)}:second."
                )
            if argument == "test_corpora" and name in learned:
                raise ValueError(
                    f"test_corpora has {show_value(name)}, which is learned from and tested anyway; leave it out."
                )
            _, colon, copy = name.partition(":")
            if colon and not COPY.fullmatch(copy):
                raise ValueError(
                    f"{argument} has {show_value(name)}; after the colon, write letters, digits, _ and - only, such as "
                    f"{corpus_of(name)}:calls."
                )
            if len(learned) + len(tested) > 1 and corpus_of(name) not in CORPORA:
                raise ValueError(
                    f"{argument} has {show_value(name)}, which is no corpus{did_you_mean(corpus_of(name), CORPORA)}; choose from "
                    f"{', '.join(CORPORA)}."
                )
    return [*learned, *tested]


def by_corpus(argument: str, value: Any, corpora: Sequence[str]) -> dict[str, Any]:
    """Return the values of an argument by corpus.

    Args:
        argument: Name of the argument, a key of `KINDS`.
        value: Its value: of the only corpus, or by corpus. A text column may be that of all corpora.
        corpora: All corpora of the run.

    Raises:
        ValueError: If there are several corpora and the value is not by corpus, or names another corpus.
    """
    if value is None:
        return {}
    if len(corpora) == 1 and not (KINDS[argument] is str and isinstance(value, Mapping)):
        return {corpora[0]: value}
    if isinstance(value, str) and argument == "text_column":
        return dict.fromkeys(corpora, value)
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{argument} is {show_value(value)}, but the run has several corpora; give a mapping with the value of each: "
            f"{argument}.{corpora[0]} and so on."
        )
    kind = KINDS[argument]
    given = {name: own for name, own in value.items() if own is not None}
    check_names(argument, given, corpora)
    for name, own in given.items():
        if not isinstance(own, kind):
            what = "text" if kind is str else "a mapping"
            raise ValueError(f"{argument}.{name} is {show_value(own)}; it must be {what}.")
    return given


def check_dimension_scale(scale: Sequence[float] | None) -> None:
    """Raise a ValueError if a scale is not two numbers, the lowest first."""
    if scale is not None and not (len(scale) == 2 and -math.inf < scale[0] < scale[1] < math.inf):
        raise ValueError(f"dimension_scale is {scale!r}; give the lowest and the highest value.")
