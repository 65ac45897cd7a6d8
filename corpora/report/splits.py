"""The splits of a prepared corpus that training uses, for the console and the report."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..corpus import DiskCorpus
from ..folds import check_splits, select_ids
from ..records import Prepared
from ..schema import UNLABELLED

if TYPE_CHECKING:
    from datasets import Dataset

UNUSED, UNDIVIDED = "not used", "undivided"


def divide_for_training(corpus: DiskCorpus, prepared: Prepared, options: Any) -> tuple[Prepared, str]:
    """Divide a prepared corpus as training divides it.

    Args:
        corpus: The corpus.
        prepared: Its prepared folder.
        options: An instance of `corpus.options`.

    Returns:
        The corpus and a sentence. The corpus has the splits of training, and "not used" for rows that are in none of them;
        if it is not counted by split, or training cannot use it, rows without a split are in "undivided". The sentence
        describes the splits, or says why training cannot use the corpus.
    """
    whole = dict(prepared.splits)
    if {*whole} == {"train"}:
        whole = {UNDIVIDED: whole["train"]}
    description = corpus.describe(options)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".* usable rows; problems: ")  # they are listed elsewhere
            splits = dict(corpus.load(prepared.folder, options))
        check_splits(splits, bool(description.get("speaker_independent")))
    except (OSError, ValueError) as error:  # no fold file, no labels, too few speakers
        return _with_splits(prepared, whole), f"Training cannot use this corpus yet: {error}"
    used = {name for rows in splits.values() for name in rows["id"][:]}
    unused = [row_id for rows in whole.values() for row_id in rows["id"][:] if row_id not in used]
    sizes = ", ".join(f"{split} {len(rows):,}" for split, rows in splits.items())
    sentence = f"Training uses these splits: {sizes}{f'; {len(unused):,} {UNUSED}' if unused else ''}."
    if corpus.count_by == "split":
        whole = splits | ({UNUSED: _select(whole, unused)} if unused else {})
    return _with_splits(prepared, whole), f"{sentence} {description['protocol']}"


def count_rows(splits: Mapping[str, "Dataset"]) -> dict[str, dict[str, int]]:
    """Return the rows of each split per label, in the order of the labels; rows without a label are counted last."""
    counts = {}
    for split, rows in splits.items():
        found, names = Counter(rows["label"][:]), rows.features["label"].names
        numbers = [*range(len(names)), None]
        named = zip(numbers, [*names, UNLABELLED], strict=True)
        counts[split] = {name: found[number] for number, name in named if found[number]}
    return counts


def _with_splits(prepared: Prepared, splits: Mapping[str, "Dataset"]) -> Prepared:
    from datasets import DatasetDict

    return replace(prepared, splits=DatasetDict(splits))


def _select(splits: Mapping[str, "Dataset"], ids: list[str]) -> "Dataset":
    from datasets import concatenate_datasets

    return select_ids(concatenate_datasets(list(splits.values())), ids)
