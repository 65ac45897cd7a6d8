"""Rows of a corpus with common classes, a common scale and names that collide with no other corpus (ours)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..dialogues import CONTEXT
from ..schema import UNLABELLED
from .label_map import LabelMap

if TYPE_CHECKING:
    from datasets import Dataset

NAMES = ("id", "speaker", "session", "dialogue")  # columns that are unique in one corpus only


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The change of the rows of a corpus.

    Args:
        label_map: The class of every label of the corpus, None for labels whose rows are dropped.
        classes: All classes in their order.
        corpus: The value of the column `corpus`, and the beginning of ids, speakers, sessions and dialogues; None leaves
            them as they are.
        keep_unlabelled: Whether a row without a label is kept if all its shares are dropped, because of its dimensions.
        scale: Lowest and highest value of the corpus's dimensions, and those of the new ones; None leaves the values.
    """

    label_map: LabelMap
    classes: Sequence[str]
    corpus: str | None = None
    keep_unlabelled: bool = False
    scale: tuple[Sequence[float], Sequence[float]] | None = None

    def convert(self, rows: "Dataset") -> "tuple[Dataset, Counter[str]]":
        """Return the changed rows, and how many of each label are dropped.

        The shares of the raters' votes are those of the classes; the shares of dropped labels are divided among the others
        in proportion. A row without a label is dropped if it had shares and none is left, unless `keep_unlabelled` is set.

        Only the changed columns are copied, not recordings or alignments.
        """
        from datasets import ClassLabel, Dataset, Features, concatenate_datasets

        # All rows of the table, from which a split may be a selection: columns can be joined to a whole table only.
        table = Dataset(rows.data, info=rows.info.copy())
        features = Features({**rows.features, "label": ClassLabel(names=list(self.classes))})
        columns, kept, dropped = self._change(table, rows.features["label"].names)
        places = {name: place for place, name in enumerate(table["id"][:])}
        wanted = [places[name] for name in rows["id"][:]]
        small = Dataset.from_dict(columns, features=Features({name: features[name] for name in columns}))
        joined = concatenate_datasets([table.remove_columns(list(columns)), small], axis=1)
        lost = Counter(dropped[place] for place in wanted if not kept[place])
        return joined.select_columns(list(features)).select([place for place in wanted if kept[place]]), lost

    def _change(self, table: "Dataset", labels: list[str]) -> tuple[dict[str, list], list[bool], list[str]]:
        """Return the new columns of a table, whether each row is kept, and the name of its label."""
        old, votes = table["label"][:], table["soft_label"][:]
        numbers = {name: number for number, name in enumerate(self.classes)}
        target = [None if (name := self.label_map[label]) is None else numbers[name] for label in labels]
        shares = [None if share is None else self._share(share, target) for share in votes]
        kept = [
            self.keep_unlabelled or votes[place] is None or shares[place] is not None
            if label is None
            else target[label] is not None
            for place, label in enumerate(old)
        ]
        columns: dict[str, list[Any]] = {
            "label": [None if label is None else target[label] for label in old],
            "soft_label": shares,
        }
        if self.corpus is not None:
            columns["corpus"] = [self.corpus] * len(table)
            for name in NAMES:
                columns[name] = [self._name(value) for value in table[name][:]]
            if CONTEXT in table.column_names:  # its speakers are compared with that of the row
                columns[CONTEXT] = [
                    [turn | {"speaker": self._name(turn["speaker"])} for turn in turns] for turns in table[CONTEXT][:]
                ]
        if self.scale is not None:
            columns["vad"] = [values and self._rescale(values) for values in table["vad"][:]]
        return columns, kept, [UNLABELLED if label is None else labels[label] for label in old]

    def _name(self, value: str | None) -> str | None:
        return value and f"{self.corpus}/{value}"

    def _share(self, shares: Sequence[float], target: Sequence[int | None]) -> list[float] | None:
        sums = [0.0] * len(self.classes)
        for share, number in zip(shares, target, strict=True):
            if number is not None:
                sums[number] += share
        total = sum(sums)
        return [share / total for share in sums] if total > 0 else None

    def _rescale(self, values: dict[str, float | None]) -> dict[str, float | None]:
        (low, high), (new_low, new_high) = self.scale
        factor = (new_high - new_low) / (high - low)
        return {name: None if value is None else new_low + (value - low) * factor for name, value in values.items()}
