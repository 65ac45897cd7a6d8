"""MELD (Poria et al. 2019) in its official splits, from the folder of the published corpus or of a re-encoded copy."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import DiskCorpus
from ..folds import finish_splits
from .scan import KNOWN, LABELS, MeldScanOptions, scan

if TYPE_CHECKING:
    from datasets import DatasetDict

# Published utterances of each emotion, in the order of `LABELS`. Two of their clips are not usable, see `scan.UNUSABLE`.
PUBLISHED = {
    "train": (4710, 1743, 1205, 1109, 683, 271, 268),
    "validation": (470, 163, 150, 153, 111, 22, 40),
    "test": (1256, 402, 281, 345, 208, 68, 50),
}


class Meld(DiskCorpus):
    """MELD. Its `root` contains the three CSV files and the clips; see `scan` for the layout."""

    name = "meld"
    options = MeldScanOptions  # the splits are fixed
    scan_options = MeldScanOptions
    scan = staticmethod(scan)
    known_problems = KNOWN

    def load(self, root: str | Path | None, options: MeldScanOptions) -> "DatasetDict":
        """Load the official splits, see `Corpus.load`; dev is the validation split.

        Ids are `<split>_dia<D>_utt<U>`, with MELD's names of the splits (train, dev, test). Speakers are as in the tables,
        including groups ("Ross and Joey", "All"). `start` and `end` are the table's times in the episode, relative to the
        first utterance of the dialogue. Clips are cut already, so the span of a row is the whole clip or its first
        `max_seconds`.

        Raises:
            FileNotFoundError: If there is no folder `root`, or it has no clips of a split.
            ValueError: If `root` is not the folder of MELD, a table cannot be read, or a split is empty.
        """
        from ..preparation.prepare import prepare

        prepared = prepare(self, root, options)
        return finish_splits("MELD", prepared, prepared.splits)

    def describe(self, options: MeldScanOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        return {
            "title": "MELD" if options.labels == "emotion" else "MELD (sentiment)",
            "demonstration": False,
            "language": ["en"],
            "protocol": "The official splits of MELD. They share their speakers, the cast of one television series: the "
            "scores say nothing about new speakers.",
            "license": "that of MELD (https://affective-meld.github.io); its clips are from a television series",
        }

    def published_counts(self, options: MeldScanOptions) -> dict[str, dict[str, int]]:
        """Return the published utterances per split and emotion; none were published per sentiment."""
        if options.labels != "emotion":
            return {}
        return {split: dict(zip(LABELS["emotion"], counts, strict=True)) for split, counts in PUBLISHED.items()}


MELD = Meld()
