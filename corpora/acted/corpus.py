"""The registered acted corpora: their options, folds and cards, from their descriptions."""

from collections.abc import Callable, Mapping
from dataclasses import field, fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..corpus import DiskCorpus
from ..folds import describe_fold_file, finish_splits, read_fold, read_folds, split_by_ids
from ..protocols import Fold
from ..records import Scan
from ..schema import SPLITS
from . import crema_d, emo_db, ravdess, savee, tess
from .table import ActedScanOptions, ActedTable, Part

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


class FoldChecks:
    """Checks of the options that choose the splits."""

    table: ClassVar[ActedTable]

    def __post_init__(self):
        super().__post_init__()
        if self.fold_file is None and not 1 <= self.fold <= len(self.table.protocols[self.protocol].folds):
            count = len(self.table.protocols[self.protocol].folds)
            raise ValueError(
                f"fold must be from 1 to {count}, the number of folds of {self.protocol}, not {self.fold!r}."
            )

    @property
    def parts(self) -> Mapping[str, Part]:
        """The parts of the chosen fold, by split."""
        return self.table.protocols[self.protocol].folds[self.fold - 1]


def make_options(table: ActedTable, scan_options: type[ActedScanOptions]) -> type:
    """Return the options of a corpus: those of its scan, and those that choose its splits."""
    counts = (f"{name} ({len(protocol.folds)})" for name, protocol in table.protocols.items())
    help_text = f"Way to divide the corpus, with its number of folds: {', '.join(counts)}."
    protocol = field(
        default=next(iter(table.protocols)), metadata={"help": help_text, "choices": tuple(table.protocols)}
    )
    fold = field(default=1, metadata={"help": "Number of the fold, from 1."})
    fold_file = field(
        default=None,
        metadata={"help": "JSON file of folds, which replaces the protocol; fold is the position in it."},
    )
    return make_dataclass(
        f"{table.title.replace('-', '')}Options",
        [("protocol", str, protocol), ("fold", int, fold), ("fold_file", str | Path | None, fold_file)],
        bases=(FoldChecks, scan_options),
        namespace={"table": table, "__doc__": f"Options of {table.title}.", "__module__": __name__},
        frozen=True,
        kw_only=True,
    )


class ActedCorpus(DiskCorpus):
    """An acted corpus. Its `root` contains the files, in any subfolders; they are found by their names.

    Args:
        name: The name in recipes and on the command line.
        table: Its description.
        scan: Function `(root, options) -> Scan`, from the module of the description.
        scan_options: Its options that affect the scan.
    """

    def __init__(
        self,
        name: str,
        table: ActedTable,
        scan: Callable[[str | Path | None, Any], Scan],
        scan_options: type[ActedScanOptions] = ActedScanOptions,
    ):
        self.name, self.table, self.scan = name, table, scan
        self.scan_options, self.options = scan_options, make_options(table, scan_options)
        self.count_by, self.known_problems = table.count_by, table.known

    def load(self, root: str | Path | None, options: Any) -> "DatasetDict":
        """Load one fold, see `Corpus.load`. Sessions, dialogues and times are unknown.

        Raises:
            FileNotFoundError: If there is no folder `root`.
            ValueError: If no file in it has a name of this corpus, or a split is empty.
        """
        from ..preparation.prepare import prepare

        fold, name = None, f"{options.fold_file or options.protocol}, fold {options.fold}"
        if options.fold_file:
            fold = read_fold(options.fold_file, options.fold)
        prepared = prepare(self, root, options)
        if fold is None:
            fold = _divide(self.table, prepared.splits["train"], options.parts)
        splits = split_by_ids(prepared.splits, fold, name, {found["id"] for found in prepared.problems})
        if getattr(options, "keep_ties", False):
            splits = {split: rows if split == "train" else _labelled(rows) for split, rows in splits.items()}
        return finish_splits(self.table.title, prepared, splits)

    def describe(self, options: Any) -> dict:
        """Return the metadata, see `Corpus.describe`."""
        protocol = describe_fold_file(options.fold_file, options.fold) if options.fold_file else _describe(options)
        return {
            "title": self.table.title + _describe_choices(options),
            "demonstration": False,
            "fold": options.fold,
            "protocol": protocol,
            "speaker_independent": options.fold_file is None and _are_apart(options.parts),
            "language": [self.table.language],
            "license": self.table.license,
        }

    def folds(self, options: Any) -> list[dict]:
        """Return the folds of the protocol or the fold file, see `Corpus.folds`."""
        file = options.fold_file
        count = len(self.table.protocols[options.protocol].folds) if file is None else len(read_folds(file))
        return [{"fold": number} for number in range(1, count + 1)]

    def published_counts(self, options: Any) -> dict[str, dict[str, int]]:
        """Return the published utterances per gender or speaker, and label."""
        return {group: dict(counts) for group, counts in self.table.published(options).items()}


def _divide(table: ActedTable, rows: "Dataset", parts: Mapping[str, Part]) -> Fold:
    """Return the ids of each split of a fold."""
    fold = {split: [] for split in SPLITS}
    for name, speaker in zip(rows["id"][:], rows["speaker"][:], strict=True):
        split = table.find_part(parts, name, speaker)
        if split is not None:
            fold[split].append(name)
    return fold


def _describe(options: Any) -> str:
    """Return the sentence that describes a fold of a protocol."""
    protocol = options.table.protocols[options.protocol]
    words = {split: options.table.describe_part(part) for split, part in options.parts.items()}
    number = f", fold {options.fold} of {len(protocol.folds)}" if len(protocol.folds) > 1 else ""
    return (
        f"{protocol.title}{number}: the test split has {words['test']}, the validation split {words['validation']}, and the "
        f"training split {words['train']}."
    )


def _describe_choices(options: ActedScanOptions) -> str:
    """Return the choices that differ from the default, in brackets after a blank."""
    names = [option for option in fields(options) if "choices" in option.metadata and option.name != "protocol"]
    changed = [
        f"{option.name} {getattr(options, option.name)}"
        for option in names
        if getattr(options, option.name) != option.default
    ]
    return f" ({', '.join(changed)})" if changed else ""


def _labelled(rows: "Dataset") -> "Dataset":
    """Return the rows that have a label."""
    return rows.select([place for place, label in enumerate(rows["label"][:]) if label is not None])


def _are_apart(parts: Mapping[str, Part]) -> bool:
    """Return whether no speaker is in two splits."""
    speakers = [speaker for part in parts.values() for speaker in part.speakers]
    return len(set(speakers)) == len(speakers)


CREMA_D = ActedCorpus("crema_d", crema_d.CREMA_D, crema_d.scan, crema_d.CremaDScanOptions)
RAVDESS = ActedCorpus("ravdess", ravdess.RAVDESS, ravdess.scan, ravdess.RavdessScanOptions)
EMO_DB = ActedCorpus("emo_db", emo_db.EMO_DB, emo_db.scan)
SAVEE = ActedCorpus("savee", savee.SAVEE, savee.scan)
TESS = ActedCorpus("tess", tess.TESS, tess.scan)
ACTED_CORPORA = (CREMA_D, RAVDESS, EMO_DB, SAVEE, TESS)
