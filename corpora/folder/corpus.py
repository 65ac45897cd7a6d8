"""A folder of your own recordings."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...configuration.value_checks import check_languages
from ..corpus import DiskCorpus
from ..folds import (
    describe_fold_file,
    finish_splits,
    read_fold,
    read_folds,
    select_ids,
    split_by_ids,
    split_by_speaker,
    warn_of_problems,
)
from ..protocols import carve_validation, check_speaker_folds, describe_speaker_fold, list_speaker_folds
from ..records import Prepared, name_unread
from .scan import FolderScanOptions, scan

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


@dataclass(frozen=True, kw_only=True)
class FolderOptions(FolderScanOptions):
    """Options of a folder of recordings: those of its scan, and those that choose the splits."""

    language: str | Sequence[str] | None = field(
        default=None,
        metadata={"help": "Language of the speech for the model card, as BCP-47 code such as de, or a list of codes."},
    )
    validation_share: float = field(
        default=0.1,
        metadata={"help": "Minimum share of the training rows for the validation split if the metadata names none."},
    )
    test_share: float = field(
        default=0.1,
        metadata={"help": "Minimum share of the training rows for the test split if the metadata names none."},
    )
    seed: int = field(default=0, metadata={"help": "Seed for the choice of speakers for these splits."})
    speaker_folds: int | None = field(
        default=None, metadata={"help": "Number of folds by speaker, which replace all splits."}
    )
    fold_file: str | Path | None = field(
        default=None, metadata={"help": "JSON file of folds, which replace all splits."}
    )
    fold: int = field(default=1, metadata={"help": "Number of the test fold of speaker_folds or fold_file, from 1."})

    def __post_init__(self):
        super().__post_init__()
        check_languages(self.languages)
        for name in ("validation_share", "test_share"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}.")
        check_speaker_folds(self.speaker_folds)
        if None not in (self.speaker_folds, self.fold_file):
            raise ValueError("speaker_folds and fold_file are both given: choose one.")

    @property
    def languages(self) -> list[str]:
        """The codes of `language` as a list."""
        return [self.language] if isinstance(self.language, str) else list(self.language or ())


class Folder(DiskCorpus):
    """A folder of recordings. Its `root` contains the metadata; see `scan` for the layout.

    The id of a row is the path of its file in the folder; `start` and `end` are unknown.
    """

    name = "folder"
    options = FolderOptions
    scan_options = FolderScanOptions
    scan = staticmethod(scan)

    def load(self, root: str | Path | None, options: FolderOptions) -> "DatasetDict":
        """Load the splits, see `Corpus.load`.

        The split of a row is its column `split`, else the folder among `tables.SPLIT_NAMES` that contains the row or its
        metadata. If the test split is empty, speakers are moved to it from train; then the same for the validation split.

        Rows without a label, and without a rating of a dimension, are left out, for training. If no row has any, all are
        returned, for prediction: in the splits of the metadata or, without any, in the split "test".

        Raises:
            FileNotFoundError: If there is no folder `root`.
            ValueError: If there is no metadata or it cannot be read, a path leads out of the folder, there are too few
                speakers for a split, or a split is empty.
        """
        from datasets import DatasetDict

        from ..preparation.prepare import prepare

        fold = read_fold(options.fold_file, options.fold) if options.fold_file else None
        prepared = prepare(self, root, options)
        root = prepared.metadata.get("root") or root  # `root` may be the prepared folder
        name = f"The folder {root}"
        labelled = {split: _labelled(rows) for split, rows in prepared.splits.items()}
        if not any(map(len, labelled.values())):
            warn_of_problems(name, prepared)
            splits = prepared.splits
            return DatasetDict({"test": splits["train"]}) if {*splits} == {"train"} else splits
        prepared = replace(prepared, splits=DatasetDict(labelled))
        if fold is not None:
            explained = {found["id"] for found in prepared.problems}
            splits = split_by_ids(prepared.splits, fold, f"{options.fold_file}, fold {options.fold}", explained)
        elif options.speaker_folds is not None:
            splits = split_by_speaker(prepared.splits, options.speaker_folds, options.fold)
        else:
            splits = _fill_splits(prepared, options, root)
        return finish_splits(name, prepared, splits)

    def describe(self, options: FolderOptions) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        if options.fold_file is not None:
            protocol = describe_fold_file(options.fold_file, options.fold)
        elif options.speaker_folds is not None:
            protocol = describe_speaker_fold(options.speaker_folds, options.fold)
        else:
            protocol = (
                "The splits are those of the folder's metadata; a validation or test split that it does not name consists "
                f"of speakers from the training split (seed {options.seed})."
            )
        return {
            "title": "a folder of recordings",
            "demonstration": False,
            "fold": options.fold if options.fold_file or options.speaker_folds else None,
            "protocol": protocol,
            "speaker_independent": options.speaker_folds is not None,
            "dimension_scale": options.dimension_scale,
            "language": options.languages,
        }

    def folds(self, options: FolderOptions) -> list[dict]:
        """Return the folds by speaker or of the fold file, see `Corpus.folds`."""
        return list_speaker_folds(len(read_folds(options.fold_file)) if options.fold_file else options.speaker_folds)


def _labelled(rows: "Dataset") -> "Dataset":
    """Return the rows that have a label, or a rating of a dimension."""
    columns = zip(rows["label"][:], rows["vad"][:], strict=True)
    places = [place for place, values in enumerate(columns) if values != (None, None)]
    return rows if len(places) == len(rows) else rows.select(places)


def _fill_splits(prepared: Prepared, options: FolderOptions, root: str | Path) -> "dict[str, Dataset]":
    """Return the splits of the metadata, with test and validation taken from train where they are missing."""
    splits = dict(prepared.splits)
    for split, share in (("test", options.test_share), ("validation", options.validation_share)):
        if split not in splits and "train" in splits:
            try:
                train, taken = carve_validation(splits["train"], share, options.seed)
            except ValueError as error:
                raise ValueError(
                    f"The folder {root} has no split {split!r}, and it cannot be drawn by speaker: {error} Name the splits "
                    f"in a column 'split', or the speakers in a column 'speaker'.{name_unread(prepared.problems)}"
                ) from error
            splits |= {"train": select_ids(splits["train"], train), split: select_ids(splits["train"], taken)}
    return splits


FOLDER = Folder()
