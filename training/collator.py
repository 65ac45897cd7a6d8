"""From rows of a corpus to the batch of the forward contract."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from transformers import BatchFeature, ProcessorMixin


@dataclass
class EmotionCollator:
    """Data collator: decodes, tokenises and pads rows of the corpus schema.

    Args:
        processor: the model's processor. Only the modalities it has are read from the rows.
        labels: names of the classes, in the order of the model's outputs.
    """

    processor: ProcessorMixin
    labels: Sequence[str]

    def __call__(self, rows: list[Mapping]) -> BatchFeature:
        """A batch on the forward contract, with `labels` `(batch,)` if the rows have a label.

        Raises:
            ValueError: if a row's label is not the number of a class; it names the row.
        """
        columns = {}
        if self.processor.feature_extractor is not None:
            columns["audio"] = [row["audio"] for row in rows]
        if self.processor.tokenizer is not None:
            columns["text"] = [row["text"] for row in rows]
        if self.processor.image_processor is not None:
            columns["video"] = [row["video"] for row in rows]
        if any(row.get("alignment") for row in rows):
            columns["alignment"] = [row.get("alignment") for row in rows]
        batch = self.processor(**columns, padding=True, return_tensors="pt")
        if any(row.get("label") is not None for row in rows):
            batch["labels"] = torch.tensor([self._label(row) for row in rows])
        return batch

    def _label(self, row: Mapping) -> int:
        label = row.get("label")
        if not isinstance(label, int) or not 0 <= label < len(self.labels):
            raise ValueError(
                f"Row {row.get('id')!r} has the label {label!r}; the model knows 0 to {len(self.labels) - 1} "
                f"({', '.join(self.labels)})."
            )
        return label
