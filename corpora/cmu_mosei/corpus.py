"""CMU-MOSEI (Zadeh et al. 2018) in its standard folds, read from a copy of the raw videos."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import DiskCorpus
from ..folds import finish_splits
from .scan import SCALE, CmuMoseiScanOptions, scan

if TYPE_CHECKING:
    from datasets import DatasetDict

# Annotated segments of the videos in each standard fold, of any label.
PUBLISHED = {"train": 16327, "validation": 1871, "test": 4662}


class CmuMosei(DiskCorpus):
    """CMU-MOSEI. Its `root` is `Raw`, or the folder around it; see `release` for the layout."""

    name = "cmu_mosei"
    options = CmuMoseiScanOptions  # the splits are fixed
    scan_options = CmuMoseiScanOptions
    scan = staticmethod(scan)
    own_valence = "the sentiment of an opinion"

    def load(self, root: str | Path | None, options: CmuMoseiScanOptions) -> "DatasetDict":
        """Load the standard folds, see `Corpus.load`.

        Ids are `<video>_<segment>`. `start` and `end` are seconds in the video, whose recording is not cut.

        Raises:
            FileNotFoundError: If there is no folder `root`, or no file of the standard folds.
            ValueError: If `root` is not the folder of the corpus, annotations or folds cannot be read, or a split is empty.
        """
        from ..preparation.prepare import prepare

        prepared = prepare(self, root, options)
        return finish_splits("CMU-MOSEI", prepared, prepared.splits)

    def describe(self, options: CmuMoseiScanOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        return {
            "title": f"CMU-MOSEI ({len(options.class_names)} classes of {options.labels})",
            "demonstration": False,
            "protocol": "The standard folds of CMU-MOSEI, which divide its videos. Speakers are not published: whether the folds "
            "share any is unknown.",
            "speaker_independent": False,
            "dimension_scale": SCALE,
            "language": ["en"],
            "license": "that of CMU-MOSEI (http://multicomp.cs.cmu.edu/resources/cmu-mosei-dataset); its videos are from YouTube",
        }

    def published_counts(self, options: CmuMoseiScanOptions) -> dict[str, dict[str, int]]:
        """Return the published segments per split, if no segment is left out for its label."""
        if options.labels == "emotion" and options.keep_others is not True:
            return {}
        return {split: {"all": count} for split, count in PUBLISHED.items()}


CMU_MOSEI = CmuMosei()
