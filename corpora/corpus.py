"""The protocol of a corpus: its name, its options, and how it is loaded, described and divided into folds."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from .records import Scan, ScanOptions

if TYPE_CHECKING:
    from datasets import DatasetDict


class Corpus(ABC):
    """A corpus of emotional speech. `registry.CORPORA` lists one instance per corpus.

    Attributes:
        name: The name in recipes and on the command line.
        options: A frozen dataclass of the options of `load`: their names, defaults and help (in each field's metadata).
            Creating an instance validates the values.
        own_valence: What its valence is if it must not be pooled with that of other corpora; None if it may be.
    """

    name: ClassVar[str]
    options: ClassVar[type]
    own_valence: ClassVar[str | None] = None

    def parse(self, **options) -> Any:
        """Return an instance of `self.options`.

        Raises:
            ValueError: If the corpus has no such option, or a value has the wrong type or is invalid.
        """
        known = [option.name for option in fields(self.options)]
        if unknown := [name for name in options if name not in known]:
            raise ValueError(f"The corpus {self.name!r} has no option {unknown[0]!r}; it has {', '.join(known)}.")
        return self.options(**options)

    @abstractmethod
    def load(self, root: str | Path | None, options: Any) -> "DatasetDict":
        """Return the splits "train", "validation" and "test", with rows in the schema of `schema.features`.

        Args:
            root: Folder of the corpus; the meaning of None depends on the corpus.
            options: An instance of `self.options`.
        """

    @abstractmethod
    def describe(self, options: Any) -> dict:
        """Return the metadata of the corpus for cards and reports.

        Args:
            options: An instance of `self.options`.

        Returns:
            `title`, `protocol`, `demonstration` (whether the corpus is a demonstration), `language` (a list of BCP-47
            codes, empty if unknown) and, if they apply, `fold` (its number), `license`, `dimension_scale` (lowest and highest
            value of `vad`) and `speaker_independent` (whether the protocol guarantees that no speaker is in two splits).
        """

    def folds(self, options: Any) -> list[dict]:
        """Return the folds, each as the options that select it; one without options for a corpus with fixed splits.

        Args:
            options: An instance of `self.options`; its `fold` is ignored.
        """
        return [{}]


class DiskCorpus(Corpus):
    """A corpus on the user's disk, which is prepared before it is loaded.

    Attributes:
        options: A subclass of `scan_options` that adds the options that select splits.
        scan_options: A subclass of `ScanOptions`: the options that affect the scan, and thus the prepared folder.
        scan: Function `(root, options) -> Scan` that reads the copy without opening recordings or videos. It is defined
            in a module of its own: prepared folders depend on the code of that module and of the modules that it imports.
        count_by: The column by which rows are counted, or "split".
        known_problems: Problems that every copy has, as `{row id: reason}`.
    """

    scan_options: ClassVar[type[ScanOptions]]
    scan: ClassVar[Callable[[str | Path | None, Any], Scan]]
    count_by: ClassVar[str] = "split"
    known_problems: ClassVar[Mapping[str, str]] = {}

    def published_counts(self, options: Any) -> dict[str, dict[str, int]]:
        """Return the published number of utterances per value of `count_by` and label; empty if none were published.

        Args:
            options: An instance of `self.options`.
        """
        return {}
