"""MSP-Podcast (Lotfian and Busso 2019) in its partitions, read from the folder of a licensed user.

The corpus is licensed and not downloaded. Nothing is left out silently: the scan lists every problem of a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import DiskCorpus
from ..folds import finish_splits
from .scan import PARTITIONS, SCALE, MspPodcastScanOptions, scan

if TYPE_CHECKING:
    from datasets import DatasetDict

TITLES = {
    8: "MSP-Podcast with eight classes",
    4: "MSP-Podcast with four classes",
    "all": "MSP-Podcast with all labels",
}
TESTS = [partition for partition, split in PARTITIONS.items() if split == "test"]

# Release -> published turns per partition, of all labels; "all" is the total.
PUBLISHED = {
    "1.11": {"Train": 84030, "Development": 19815, "Test1": 30647, "Test2": 14815, "Test3": 2347, "all": 151654},
    "1.12": {"all": 207136},
}


@dataclass(frozen=True, kw_only=True)
class MspPodcastOptions(MspPodcastScanOptions):
    """Options of MSP-Podcast: those of its scan, and the choice of the test split."""

    test: str | Sequence[str] = field(
        default="Test1",
        metadata={
            "help": "Partition of the test split: Test1, Test2, a list of both, or Test3 (no public labels: only for prediction)."
        },
    )
    release: str | float | None = field(
        default=None,
        metadata={"help": "Release of the copy, whose published counts are compared: 1.11 or 1.12."},
    )

    def __post_init__(self):
        super().__post_init__()
        if isinstance(self.release, float):  # as YAML reads 1.11
            object.__setattr__(self, "release", f"{self.release:g}")
        if self.release not in (None, *PUBLISHED):
            raise ValueError(f"release must be {' or '.join(map(repr, PUBLISHED))}, not {self.release!r}.")
        if not self.tests or len({*self.tests}) < len(self.tests) or not {*self.tests} <= {*TESTS}:
            raise ValueError(f"test must be one or some of {', '.join(TESTS)}, not {self.test!r}.")

    @property
    def tests(self) -> list[str]:
        """The partitions of the test split."""
        return [self.test] if isinstance(self.test, str) else [str(name) for name in self.test]


class MspPodcast(DiskCorpus):
    """MSP-Podcast. Its `root` contains `Labels` and `Audios`; see `release` for the layout."""

    name = "msp_podcast"
    options = MspPodcastOptions
    scan_options = MspPodcastScanOptions
    scan = staticmethod(scan)
    count_by = "session"  # the partition

    def load(self, root: str | Path | None, options: MspPodcastOptions) -> "DatasetDict":
        """Load the partitions, see `Corpus.load`: Train, Development, and the chosen ones of Test1, Test2 and Test3.

        Raises:
            FileNotFoundError: If there is no folder `root`, or it has no recordings.
            ValueError: If `root` is not the folder of the corpus, a table cannot be read, or a split is empty.
        """
        from ..preparation.prepare import prepare

        prepared = prepare(self, root, options)
        splits = dict(prepared.splits)
        if "test" in splits:
            sessions = splits["test"]["session"][:]
            splits["test"] = splits["test"].select(
                [place for place, name in enumerate(sessions) if name in options.tests]
            )
        return finish_splits("MSP-Podcast", prepared, splits)

    def describe(self, options: MspPodcastOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        tests = " and ".join(options.tests)
        return {
            "title": TITLES[options.classes],
            "demonstration": False,
            "protocol": f"The official partitions: Train is the training split, Development the validation split, {tests} the "
            "test split. They are meant to share no speakers, but the speakers of some turns are unknown, and the test sets "
            "share speakers with each other.",
            "speaker_independent": False,
            "dimension_scale": SCALE,
            "language": ["en"],
            "license": "for research, by agreement with the University of Texas at Dallas (MSP Lab)",
        }

    def published_counts(self, options: MspPodcastOptions) -> dict[str, dict[str, int]]:
        """Return the published turns per partition, if the release is given and no turn is left out for its label."""
        if options.release is None or (options.classes != "all" and options.keep_others is not True):
            return {}
        return {partition: {"all": count} for partition, count in PUBLISHED[options.release].items()}


MSP_PODCAST = MspPodcast()
