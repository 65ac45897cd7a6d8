"""From rows of a corpus to the batch of the forward contract."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from datasets import Dataset
from transformers import BatchFeature, ProcessorMixin

from .arguments import DataArguments
from .augmentation import Augmentation

if TYPE_CHECKING:
    from .prefix.cache import PrefixCache

# modality, as the column of a row and the argument of a processor are called -> its sub-processor
PARTS = {"audio": "feature_extractor", "text": "tokenizer", "video": "image_processor"}


@dataclass
class EmotionCollator:
    """Data collator: decodes, tokenises and pads rows of the corpus schema.

    Args:
        processor: the model's processor. Only the modalities it has are read from the rows.
        labels: names of the classes, in the order of the model's outputs.
        soft_labels: whether raters' shares are the labels, where a row has them.
        augment: what is done to a row before anything else.
        cache: where what is frozen was computed before; with it a batch holds `encoded` instead of inputs.
    """

    processor: ProcessorMixin
    labels: Sequence[str]
    soft_labels: bool = False
    augment: Callable[[Mapping], Mapping] | None = None
    cache: "PrefixCache | None" = None

    def __call__(self, rows: list[Mapping]) -> BatchFeature | dict:
        """A batch on the forward contract, with `labels` if the rows have a label: `(batch,)`, or, of raters' shares,
        `(batch, classes)`.

        Raises:
            ValueError: if a row's label is not the number of a class, or its shares are not those of the classes; it
                names the row.
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
        """How the raters' votes are shared; of a row that nobody rated, all to its label."""
        shares = row.get("soft_label")
        if shares is None:
            label = self._label(row)
            return [float(number == label) for number in range(len(self.labels))]
        if len(shares) != len(self.labels) or not min(shares) >= 0 or not abs(sum(shares) - 1) < 1e-3:
            raise ValueError(
                f"Row {row.get('id')!r} has the soft_label {shares}; it needs a share of each class "
                f"({', '.join(self.labels)}), together 1."
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
    """The inputs of rows, of all modalities that a processor has but those that are left out."""
    columns = {
        modality: [row[modality] for row in rows]
        for modality, part in PARTS.items()
        if getattr(processor, part) is not None and modality not in without
    }
    if any(row.get("alignment") for row in rows):
        columns["alignment"] = [row.get("alignment") for row in rows]
    return processor(**columns, padding=True, return_tensors="pt")


def build_training_collator(
    collator: EmotionCollator, data_args: DataArguments, rows: Dataset, seed: int
) -> EmotionCollator:
    """The collator of the training part: with raters' shares and augmentation, if the arguments want them.

    Args:
        collator: that of the other parts.
        data_args: what is wanted.
        rows: the training part.
        seed: of the augmentation.

    Raises:
        FileNotFoundError: if there is no folder of noises or of impulse responses that is named.
        ValueError: if nobody rated a row, or the model does not hear what is augmented.
    """
    extractor, augment = collator.processor.feature_extractor, None
    if data_args.soft_labels and not ("soft_label" in rows.column_names and any(rows["soft_label"])):
        raise ValueError(
            f"soft_labels is on, but no utterance of the training part of {data_args.corpus} has raters' shares "
            "(soft_label); leave it out."
        )
    if data_args.augmentation:
        if extractor is None:
            raise ValueError("augmentation is given, but the model does not listen; leave it out.")
        augment = Augmentation(data_args.augmentation, extractor.sampling_rate, seed)
        if "gain" in data_args.augmentation and getattr(extractor, "do_normalize", False):
            warnings.warn(
                "augmentation.gain changes nothing here: the processor scales every recording to the same variance.",
                stacklevel=2,
            )
    return replace(collator, soft_labels=data_args.soft_labels, augment=augment)
