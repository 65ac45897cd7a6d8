"""The data collator: from rows of a corpus to a batch of the forward contract."""

import warnings
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from datasets import Dataset
from transformers import BatchFeature, PreTrainedConfig, ProcessorMixin

from ..configuration.modalities import MODALITIES, host_lengths
from ..corpora.dialogues import CONTEXT as CONTEXT_COLUMN
from ..evaluation.task import Task
from .arguments import DataArguments
from .augmentation import Augmentation
from .auxiliary import encode_auxiliary
from .dialogue_batches import DialogueHistory
from .mixup import Mixup, check_mixup_fits
from .run_task import as_task


class InputCache(Protocol):
    """A source of model inputs that were computed before, as the frozen-prefix cache."""

    def prepare(self, rows: list[Mapping]) -> dict:
        """Return the inputs of rows."""


@dataclass
class EmotionCollator:
    """Data collator that decodes, tokenises and pads rows of the corpus schema.

    Args:
        processor: The processor of the model. Rows are read for the modalities that it has.
        task: The task, which makes labels of the rows' label columns; names of classes stand for their classification.
        augment: A function that changes a row before everything else.
        cache: A cache of frozen prefixes; with it a batch holds `encoded` instead of inputs.
        history: The dialogues of the split that rows are read from, for a model that reads earlier utterances; with it a
            batch also holds these, and `dialogues`.
        auxiliary: Classes by column, as `auxiliary_labels` of the configuration of a model: a batch then has their
            `auxiliary_labels`.
        mixup: A mixup of the rows of a batch, for training.
    """

    processor: ProcessorMixin
    task: Task | Sequence[str]
    augment: Callable[[Mapping], Mapping] | None = None
    cache: InputCache | None = None
    history: DialogueHistory | None = None
    auxiliary: Mapping[str, Sequence[str]] | None = None
    mixup: Mixup | None = None

    def __post_init__(self):
        self.task = as_task(self.task)

    def __call__(self, rows: list[Mapping]) -> BatchFeature | dict:
        """Return a batch of the forward contract, with `lengths`, and with the labels that the rows have.

        Earlier utterances of a `history` follow the rows, and have no labels.

        Args:
            rows: Rows of a corpus.

        Raises:
            ValueError: If a label does not fit the task; the row is named.
        """
        asked, dialogues = len(rows), None
        if self.history is not None:
            rows, dialogues = self.history.complete(rows)
        if self.augment is not None:
            rows = [self.augment(row) for row in rows]
        if self.cache is None:
            batch = process_rows(rows, self.processor)
            batch["lengths"] = host_lengths(batch)
        else:
            batch = self.cache.prepare(rows)
        if dialogues is not None:
            batch["dialogues"] = dialogues
            rows = rows[:asked]
        batch.update(self.task.encode_labels(rows))
        if self.auxiliary:
            batch["auxiliary_labels"] = encode_auxiliary(rows, self.auxiliary)
        if self.mixup is not None:
            classes = {name: len(known) for name, known in (self.auxiliary or {}).items()}
            if self.task.classes:
                classes["labels"] = len(self.task.classes)
            batch = self.mixup(batch, [row.get("id") for row in rows], classes)
        return batch


def with_history(collator: Callable, rows: Dataset, config: PreTrainedConfig) -> Callable:
    """Return a collator that adds the earlier utterances that a model reads to rows of a split; unchanged if it reads none.

    Args:
        collator: The collator. One that is not ours has to add them itself.
        rows: The split.
        config: The configuration of the model.

    Raises:
        ValueError: As in `DialogueHistory`.
    """
    reach = getattr(config, "history", 0)
    if not reach or not isinstance(collator, EmotionCollator):
        return collator
    if collator.mixup is not None:
        raise ValueError(
            "mixup is given, but a model with context_layers reads whole dialogues, whose utterances cannot be mixed; leave "
            "one of them out."
        )
    return replace(collator, history=DialogueHistory(rows, reach))


def process_rows(rows: list[Mapping], processor: ProcessorMixin, without: Collection[str] = ()) -> BatchFeature:
    """Return the inputs of rows, for all modalities of the processor except those in `without`."""
    columns = {
        name: _read_column(rows, name)
        for name, modality in MODALITIES.items()
        if getattr(processor, modality.processor_part) is not None and name not in without
    }
    if any(row.get("alignment") for row in rows):
        columns["alignment"] = [row.get("alignment") for row in rows]
    if "text" in columns:
        columns |= {name: [row[name] for row in rows] for name in context_columns(processor, rows[0])}
    return processor(**columns, padding=True, return_tensors="pt")


def context_columns(processor: ProcessorMixin, columns: Container[str]) -> tuple[str, ...]:
    """Return the columns of rows that a processor reads the context of texts from; none if it reads no context.

    Args:
        processor: The processor.
        columns: Names of the columns that the rows have.

    Raises:
        ValueError: If it reads a context, and the rows have none.
    """
    if not getattr(processor, "earlier_turns", 0):
        return ()
    if CONTEXT_COLUMN not in columns:
        raise ValueError(
            f"The model reads {processor.earlier_turns} earlier turns, and the rows have no column {CONTEXT_COLUMN!r}; give "
            f"context_turns {processor.earlier_turns} in the recipe, or add the column with `corpora.dialogues.add_context`."
        )
    return CONTEXT_COLUMN, "speaker"


def _read_column(rows: list[Mapping], name: str) -> list:
    if any(name not in row for row in rows):
        raise ValueError(
            f"The rows have no column {name!r}, which the collator reads; set remove_unused_columns=False in the "
            "TrainingArguments of a plain Trainer, or add the column, with None where a row has nothing."
        )
    return [row[name] for row in rows]


def leave_out_unread(rows: Dataset, config: PreTrainedConfig) -> Dataset:
    """Return rows without their alignments if the model reads none of them: they take longer to read than all the rest.

    Args:
        rows: Rows of the corpus schema.
        config: The configuration of the model. A late fusion reads what its members read.
    """
    configs = (config, *(getattr(config, "member_configs", None) or ()))
    if "alignment" not in rows.column_names or any(getattr(each, "span_levels", ()) for each in configs):
        return rows
    return rows.remove_columns("alignment")


def build_training_collator(
    collator: EmotionCollator, data_args: DataArguments, rows: Dataset, seed: int
) -> EmotionCollator:
    """Return the collator of the training split, with soft labels, augmentation and mixup if the arguments ask for them.

    Args:
        collator: The collator of the other splits.
        data_args: The data arguments.
        rows: The training split.
        seed: Seed of augmentation and mixup.

    Raises:
        FileNotFoundError: If a folder of noises or impulse responses does not exist.
        ValueError: If no row has soft labels, or augmentation or mixup does not fit the model.
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
        limit = collator.processor.max_seconds
        augment = Augmentation(data_args.augmentation, extractor.sampling_rate, seed, limit)
        if "gain" in data_args.augmentation and getattr(extractor, "do_normalize", False):
            warnings.warn(
                "augmentation.gain has no effect: the processor scales every recording to the same variance.",
                stacklevel=2,
            )
    mixup = None
    if data_args.mixup:
        check_mixup_fits(data_args.mixup, collator.processor)
        mixup = Mixup(data_args.mixup, seed)
    task = collator.task.for_training(data_args.soft_labels)
    return replace(collator, task=task, augment=augment, mixup=mixup)
