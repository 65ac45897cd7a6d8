"""The data collator: from rows of a corpus to a batch of the forward contract."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from datasets import Dataset
from transformers import BatchFeature, ProcessorMixin

from ..configuration.modalities import MODALITIES
from .arguments import DataArguments
from .augmentation import Augmentation


class InputCache(Protocol):
    """A source of model inputs that were computed before, as the frozen-prefix cache."""

    def prepare(self, rows: list[Mapping]) -> dict:
        """Return the inputs of rows."""


@dataclass
class EmotionCollator:
    """Data collator that decodes, tokenises and pads rows of the corpus schema.

    Args:
        processor: The processor of the model. Rows are read for the modalities that it has.
        labels: Names of the classes, in the order of the model's outputs.
        soft_labels: Whether the shares of the raters' votes are the labels of rows that have them.
        augment: A function that changes a row before everything else.
        cache: A cache of frozen prefixes; with it a batch holds `encoded` instead of inputs.
    """

    processor: ProcessorMixin
    labels: Sequence[str]
    soft_labels: bool = False
    augment: Callable[[Mapping], Mapping] | None = None
    cache: InputCache | None = None

    def __call__(self, rows: list[Mapping]) -> BatchFeature | dict:
        """Return a batch of the forward contract.

        It has `labels` if the rows have labels: `(batch,)`, or `(batch, classes)` with `soft_labels`.

        Raises:
            ValueError: If a label is not a class number, or shares do not fit the classes; the row is named.
        """
        if self.augment is not None:
            rows = [self.augment(row) for row in rows]
        batch = process_rows(rows, self.processor) if self.cache is None else self.cache.prepare(rows)
        if self.soft_labels:
            batch["labels"] = torch.tensor([self._shares(row) for row in rows])
        elif any(row.get("label") is not None for row in rows):
            batch["labels"] = torch.tensor([self._label(row) for row in rows])
        return batch

    def _shares(self, row: Mapping) -> list[float]:
        """Return the shares of the raters' votes; a row without votes gives its label the share 1."""
        shares = row.get("soft_label")
        if shares is None:
            label = self._label(row)
            return [float(number == label) for number in range(len(self.labels))]
        if len(shares) != len(self.labels) or not min(shares) >= 0 or not abs(sum(shares) - 1) < 1e-3:
            raise ValueError(
                f"Row {row.get('id')!r} has the soft_label {shares}; it needs one share for each class "
                f"({', '.join(self.labels)}), with the sum 1."
            )
        return shares

    def _label(self, row: Mapping) -> int:
        label = row.get("label")
        if not isinstance(label, int) or not 0 <= label < len(self.labels):
            raise ValueError(
                f"Row {row.get('id')!r} has the label {label!r}; the model knows 0 to {len(self.labels) - 1} "
                f"({', '.join(self.labels)})."
            )
        return label


def process_rows(rows: list[Mapping], processor: ProcessorMixin, without: Collection[str] = ()) -> BatchFeature:
    """Return the inputs of rows, for all modalities of the processor except those in `without`."""
    columns = {
        name: [row[name] for row in rows]
        for name, modality in MODALITIES.items()
        if getattr(processor, modality.processor_part) is not None and name not in without
    }
    if any(row.get("alignment") for row in rows):
        columns["alignment"] = [row.get("alignment") for row in rows]
    return processor(**columns, padding=True, return_tensors="pt")


def build_training_collator(
    collator: EmotionCollator, data_args: DataArguments, rows: Dataset, seed: int
) -> EmotionCollator:
    """Return the collator of the training split, with soft labels and augmentation if the arguments ask for them.

    Args:
        collator: The collator of the other splits.
        data_args: The data arguments.
        rows: The training split.
        seed: Seed of the augmentation.

    Raises:
        FileNotFoundError: If a folder of noises or impulse responses does not exist.
        ValueError: If no row has soft labels, or augmentation is given for a model without audio.
    """
    extractor, augment = collator.processor.feature_extractor, None
    if data_args.soft_labels and not ("soft_label" in rows.column_names and any(rows["soft_label"])):
        raise ValueError(
            f"soft_labels is on, but no utterance of the training split of {data_args.corpus} has raters' shares "
            "(soft_label); leave it out."
        )
    if data_args.augmentation:
        if extractor is None:
            raise ValueError("augmentation is given, but the model takes no audio; leave it out.")
        augment = Augmentation(data_args.augmentation, extractor.sampling_rate, seed)
        if "gain" in data_args.augmentation and getattr(extractor, "do_normalize", False):
            warnings.warn(
                "augmentation.gain has no effect: the processor scales every recording to the same variance.",
                stacklevel=2,
            )
    return replace(collator, soft_labels=data_args.soft_labels, augment=augment)
