"""The corpora of a run: one or several to learn from, and others to be tested on (ours)."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...configuration.plain_text import join_words
from .. import registry
from ..dialogues import add_context
from ..folds import check_splits
from ..schema import SPLITS
from .label_map import LabelMap, complete_maps, keep_labels, list_classes
from .overlaps import Part, check_overlaps
from .rows import Conversion

if TYPE_CHECKING:
    from datasets import DatasetDict

# Corpora whose ids and speakers mean something else in another folder.
OWN = ("folder", "spoken")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The corpora of a run.

    A corpus is named as in `registry.CORPORA`. A colon and another name distinguish two copies of one corpus, as in
    "folder:calls" and "folder:films".

    Args:
        names: The corpora to learn from.
        tested: Other corpora, whose test splits are predicted only.
        roots: Folder of each corpus that has one.
        options: Options of each corpus that has some.
        texts: Column of the transcripts to read, by corpus; by default "text".
        label_map: By corpus, the class of some labels, see `label_map.complete_maps`.
        dimension_scale: Lowest and highest value of the dimensions; None takes the scale of the first corpus that has one.
        needs_labels: Whether classes are learned. If not, no label must have a class.
        keep_unlabelled: Whether rows without a class are of use, because dimensions are learned.
        context_turns: The number of earlier turns in the column `context`; 0 leaves it out.
    """

    names: Sequence[str]
    tested: Sequence[str] = ()
    roots: Mapping[str, str | Path | None] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    label_map: Mapping[str, LabelMap] = field(default_factory=dict)
    dimension_scale: Sequence[float] | None = None
    needs_labels: bool = True
    keep_unlabelled: bool = False
    context_turns: int = 0

    def load(self) -> "tuple[DatasetDict, dict[str, Any]]":
        """Load the corpora.

        A split is the union of the splits of the corpora to learn from. In a run with several of them, the column `corpus`
        names that of a row, and ids, speakers, sessions and dialogues begin with its name. So do those of the other tested
        corpora, whose test splits are further splits with the name of the corpus.

        Returns:
            The splits, and the metadata: that of `describe`, with the complete `label_map`, and `dropped`, the number of
            dropped utterances by corpus and label.

        Raises:
            ValueError: If a corpus cannot be loaded, splits share utterances or, where a protocol excludes that, speakers, in
                one corpus or in two copies of it, or a label has no class.
        """
        from datasets import DatasetDict, concatenate_datasets

        about = {name: self._describe(name) for name in (*self.names, *self.tested)}
        parts = {name: self._load(name) for name in about}
        if self._is_plain():
            return parts[self.names[0]], self.describe()
        for name, corpus in parts.items():
            with _named(name):
                check_splits(corpus, bool(about[name].get("speaker_independent")))
        check_overlaps([self._part(name, corpus, about[name]) for name, corpus in parts.items()])
        maps = self._complete(parts)
        classes, scale = list_classes(maps[name] for name in parts), self.scale
        dropped, found = {}, {}
        for name, corpus in parts.items():
            scales = (about[name].get("dimension_scale"), scale)
            change = Conversion(
                label_map=maps[name],
                classes=classes,
                corpus=name if name in self.tested or len(self.names) > 1 else None,
                keep_unlabelled=self.keep_unlabelled,
                scale=scales if None not in scales and list(scales[0]) != list(scale) else None,
            )
            splits = SPLITS if name in self.names else ("test",)
            changed = {split: change.convert(corpus[split]) for split in splits}
            found[name] = {split: rows for split, (rows, _) in changed.items()}
            dropped[name] = dict(sum((lost for _, lost in changed.values()), Counter()))
        columns = [
            name
            for name in parts[self.names[0]]["train"].column_names
            if all(name in corpus["test"].column_names for corpus in parts.values())
        ]
        joined = {
            split: concatenate_datasets([found[name][split].select_columns(columns) for name in self.names])
            for split in SPLITS
        }
        joined |= {name: found[name]["test"].select_columns(columns) for name in self.tested}
        used = {name: counts for name, counts in dropped.items() if counts}
        maps = maps if self.needs_labels or self.label_map else {}
        return DatasetDict(joined), self.describe() | {"label_map": maps, "dropped": used}

    def describe(self) -> dict[str, Any]:
        """Return the metadata of the corpora for cards and reports, as `Corpus.describe`.

        Of several corpora, `corpora` has the names and `fold` the number of the fold, if all that have folds agree. Other
        corpora that are tested are described in `tested`.
        """
        about = {name: self._describe(name) for name in self.names}
        first = about[self.names[0]]
        joint = first if len(self.names) == 1 else _join(about)
        joint = joint | {"dimension_scale": self.scale}
        tested = {name: self._describe(name) for name in self.tested}
        return joint | {
            "tested": {
                name: f"{each['title'][:1].upper()}{each['title'][1:]}. {each['protocol']}"
                for name, each in tested.items()
            },
        }

    @property
    def scales(self) -> dict[str, list[float] | None]:
        """The lowest and highest value of the dimensions of each corpus by its name; None of one without dimensions."""
        return {name: self._describe(name).get("dimension_scale") for name in (*self.names, *self.tested)}

    @property
    def scale(self) -> list[float] | None:
        """The lowest and highest value of the dimensions of all corpora together; None if no corpus has dimensions."""
        scales = [self.dimension_scale, *self.scales.values()]
        return next((list(scale) for scale in scales if scale is not None), None)

    def folds(self) -> list[dict[str, Any]]:
        """Return the folds, each as options by corpus: fold i of each corpus; one without options if all splits are fixed.

        The splits of a corpus without folds are the same in every fold.

        Raises:
            ValueError: If corpora have different numbers of folds.
        """
        folds = {name: registry.list_folds(corpus_of(name), **self.options.get(name, {})) for name in self.names}
        rotated = {name: own for name, own in folds.items() if own != [{}]}
        if not rotated:
            return [{}]
        if len(set(map(len, rotated.values()))) > 1:
            counts = join_words([f"{len(own)} of {name}" for name, own in rotated.items()])
            raise ValueError(
                f"The corpora have different numbers of folds ({counts}); give them options with equal numbers."
            )
        return [dict(zip(rotated, choice, strict=True)) for choice in zip(*rotated.values(), strict=True)]

    def _is_plain(self) -> bool:
        return len(self.names) == 1 and not (self.tested or self.label_map or self.dimension_scale)

    def _describe(self, name: str) -> dict[str, Any]:
        about = registry.describe_corpus(corpus_of(name), **self.options.get(name, {}))
        return about | {"name": name}

    def _load(self, name: str) -> "DatasetDict":
        place, texts = (corpus_of(name), self.roots.get(name)), self.texts.get(name, "text")
        corpus = registry.load_corpus(*place, **self.options.get(name, {}))
        if self.context_turns:
            turns = registry.load_turns(*place, **self.options.get(name, {}))
            corpus = add_context(corpus, turns, self.context_turns, texts)
        return choose_texts(corpus, texts)

    def _part(self, name: str, corpus: "DatasetDict", about: Mapping[str, Any]) -> Part:
        """Return a corpus for `check_overlaps`."""
        kind, root, is_tested = corpus_of(name), self.roots.get(name), name in self.tested
        return Part(
            name,
            (kind, root and os.path.realpath(root)) if kind in OWN else kind,
            {"test": corpus["test"]} if is_tested else corpus,
            is_tested,
            bool(about.get("speaker_independent")),
        )

    def _complete(self, parts: "Mapping[str, DatasetDict]") -> dict[str, LabelMap]:
        labels = {name: corpus["test"].features["label"].names for name, corpus in parts.items()}
        return (complete_maps if self.needs_labels else keep_labels)(labels, self.label_map)


def corpus_of(name: str) -> str:
    """Return the name in `registry.CORPORA` of a corpus of a run."""
    return name.partition(":")[0]


def choose_texts(corpus: "DatasetDict", column: str) -> "DatasetDict":
    """Return the corpus with the transcripts of `column` as its only transcripts, in the column `text`.

    Args:
        corpus: Rows of the corpus schema.
        column: "text", the transcripts of the corpus, or "asr_text", those of a speech recogniser. A row without one has
            no text.

    Raises:
        ValueError: If no row of a split has a transcript of a speech recogniser.
    """
    if column == "text":
        return corpus
    for split, rows in corpus.items():
        # "" is a transcript too: that of a recording without words.
        if column not in rows.column_names or all(text is None for text in rows[column][:]):
            raise ValueError(
                f"text_column is {column!r}, but no row of the {split} split has one; transcribe the corpus first "
                "(emofusion prepare --transcribe)."
            )
    return corpus.remove_columns("text").rename_column(column, "text")


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Begin the message of a `ValueError` with the name of a corpus."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _join(about: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of several corpora that are joined."""
    each = list(about.values())
    titles = [own["title"] for own in each]
    if len(set(titles)) < len(titles):
        titles = [f"{title} ({name})" for name, title in zip(about, titles, strict=True)]
    folds = {own["fold"] for own in each if own.get("fold") is not None}
    licences = [f"{own['license']} ({own['title']})" for own in each if own.get("license")]
    return {
        "name": "+".join(about),
        "corpora": list(about),
        "title": join_words(titles),
        "demonstration": any(own["demonstration"] for own in each),
        "fold": folds.pop() if len(folds) == 1 else None,
        "protocol": "Each split is the union of the splits of the corpora. "
        + " ".join(f"{name}: {own['protocol']}" for name, own in about.items()),
        "speaker_independent": all(own.get("speaker_independent") for own in each),
        # Empty where the languages of one corpus are unknown.
        "language": list(dict.fromkeys(code for own in each for code in own["language"]))
        if all(own["language"] for own in each)
        else [],
        "license": "; ".join(licences) or None,
    }
