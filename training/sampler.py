"""Batches of utterances of similar length, shared by all processes (ours)."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from transformers import ProcessorMixin, TrainerCallback
from transformers.trainer_utils import seed_worker

from ..configuration.modalities import MODALITIES
from ..corpora.preparation.inspection import measure
from ..processing.media import audio_seconds
from ..processing.video import video_seconds
from .arguments import EmotionTrainingArguments

POOL = 8  # steps per bucket of similar lengths: more steps shuffle better and pad more
SHORTEST = 0.5  # seconds that an utterance counts at least, so that batches of very short ones do not get too large


class LengthGroupedBatchSampler(torch.utils.data.BatchSampler):
    """Yields every utterance once per epoch, in batches of similar length.

    The batches of an epoch depend only on the seed and the epoch. The utterances of a step are split among all processes:
    each gets the same number or one more, and none is repeated. The batches are in the order in which accelerate deals
    them out: those of the first step for process 0, 1, ..., then those of the next step. Every epoch has the same number
    of steps.

    Utterances are sorted by length and cut into buckets of `POOL` steps. In each epoch, the utterances of a bucket and the
    order of all steps are shuffled.

    Args:
        lengths: Lengths of the utterances, `(utterances,)`; seconds with `max_seconds`, otherwise any unit.
        batch_size: Utterances per batch of one process. Give this or `max_seconds`.
        max_seconds: Seconds per batch of one process, including padding.
        num_processes: Number of processes.
        seed: Seed of the shuffling.

    Raises:
        ValueError: If an utterance is longer than a batch, or there are too few utterances for all processes.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int | None = None,
        max_seconds: float | None = None,
        num_processes: int = 1,
        seed: int = 0,
    ):
        self.lengths = np.asarray(lengths, dtype=float)
        self.num_processes = num_processes
        self.seed = seed
        self.epoch = 0
        self.batch_size = None  # for accelerate: batches differ in size
        self.drop_last = False
        self._buckets = self._cut(batch_size, max_seconds)

    def __len__(self) -> int:
        """Number of batches of all processes."""
        return self.num_processes * sum(steps for _, steps in self._buckets)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        plan = [step for rows, steps in self._buckets for step in np.array_split(random.permutation(rows), steps)]
        for index in random.permutation(len(plan)):
            step = plan[index][np.argsort(self.lengths[plan[index]], kind="stable")]
            for process in range(self.num_processes):  # neighbours in length, so that no process waits for the others
                yield step[process :: self.num_processes].tolist()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that the next iteration yields."""
        self.epoch = epoch

    def padding(self) -> float:
        """Return the share of padding in the batches of the epoch."""
        batches = [self.lengths[batch] for batch in self]
        padded = sum(len(batch) * batch.max() for batch in batches)
        return 1 - self.lengths.sum() / padded if padded else 0.0

    def _cut(self, batch_size: int | None, max_seconds: float | None) -> list[tuple[np.ndarray, int]]:
        """Return the buckets, longest first, with the number of steps of each."""
        order = np.argsort(-self.lengths, kind="stable")
        if len(order) < self.num_processes:
            raise ValueError(f"{len(order)} utterances are too few for {self.num_processes} processes.")
        buckets, start = [], 0
        while start < len(order):
            longest = self.lengths[order[start]]
            size = batch_size if max_seconds is None else int(max_seconds / max(longest, SHORTEST))
            if not size:
                raise ValueError(
                    f"max_batch_seconds is {max_seconds:g}, and an utterance lasts {longest:.1f} s; give more, or cut "
                    "recordings with max_seconds."
                )
            size *= self.num_processes
            end = min(start + POOL * size, len(order))
            if 0 < len(order) - end < self.num_processes:  # leave enough for all processes in the last bucket
                end = len(order) - self.num_processes
            steps = math.ceil((end - start) / size)
            if (end - start) // steps < self.num_processes:
                raise ValueError(
                    f"{len(order)} utterances, one at a time, cannot be dealt to {self.num_processes} processes evenly; "
                    "give larger batches."
                )
            buckets.append((order[start:end], steps))
            start = end
        return buckets


class EpochSetter(TrainerCallback):
    """Sets the epoch of the sampler, and draws the seed of workers that stay.

    accelerate sets the epoch too, except where several processes resume in the middle of an epoch: the sampler then is
    inside one more wrapper than it looks into.
    """

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        """Set the epoch of every sampler of the data loader."""
        draw_seed(train_dataloader)
        sampler = getattr(train_dataloader, "batch_sampler", None)
        while sampler is not None:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(int(state.epoch or 0))
            sampler = getattr(sampler, "batch_sampler", getattr(sampler, "sampler", None))


def group_by_length(
    rows: Dataset, processor: ProcessorMixin, collator: Callable, args: EmotionTrainingArguments
) -> DataLoader:
    """Return a data loader with batches of utterances of similar length.

    Args:
        rows: The training split.
        processor: The processor of the model.
        collator: The collator.
        args: The arguments of the run, with `group_by_length` or `max_batch_seconds`.

    Raises:
        ValueError: As in `LengthGroupedBatchSampler` and `lengths_of`.
    """
    sampler = LengthGroupedBatchSampler(
        lengths_of(rows, processor, args.max_batch_seconds is not None),
        batch_size=args.per_device_train_batch_size,
        max_seconds=args.max_batch_seconds,
        num_processes=args.world_size,
        seed=args.seed if args.data_seed is None else args.data_seed,
    )
    return load_batches(rows, sampler, collator, args)


def load_batches(
    rows: Dataset, sampler: torch.utils.data.BatchSampler, collator: Callable, args: EmotionTrainingArguments
) -> DataLoader:
    """Return a data loader with the batches of a sampler.

    Args:
        rows: The training split.
        sampler: The sampler.
        collator: The collator.
        args: The arguments of the run.
    """
    return DataLoader(
        rows,
        batch_sampler=sampler,
        collate_fn=collator,
        num_workers=args.dataloader_num_workers,
        pin_memory=args.dataloader_pin_memory,
        persistent_workers=args.dataloader_persistent_workers,
        prefetch_factor=args.dataloader_prefetch_factor,
        worker_init_fn=partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index),
    )


def draw_seed(loader: DataLoader | None) -> None:
    """Draw the seed that a data loader draws for its workers, if they stay and it does not.

    The random numbers of a run, such as those of dropout, then are the same for any number of workers, and after an
    interruption.
    """
    if getattr(getattr(loader, "base_dataloader", loader), "_iterator", None) is not None:
        torch.empty((), dtype=torch.int64).random_()


def end_workers(loader: DataLoader | None) -> None:
    """End the workers of a data loader that stay; the garbage collector would wait five seconds for each loader."""
    loader = getattr(loader, "base_dataloader", loader)
    if (iterator := getattr(loader, "_iterator", None)) is not None:
        iterator._shutdown_workers()
        loader._iterator = None


def lengths_of(rows: Dataset, processor: ProcessorMixin, in_seconds: bool = False) -> np.ndarray:
    """Return the length of each utterance for a model, `(rows,)`: seconds of audio, else seconds of video, else words.

    Args:
        rows: Rows of the corpus schema.
        processor: The processor of the model.
        in_seconds: Whether the lengths must be in seconds.

    Raises:
        ValueError: If they must be in seconds and the model takes only text.
    """
    if processor.feature_extractor is not None:
        return seconds_of(rows, "audio", processor.max_seconds)
    if processor.image_processor is not None:
        return seconds_of(rows, "video", processor.max_seconds)
    if in_seconds:
        raise ValueError("max_batch_seconds is given, but the model takes only text; use group_by_length.")
    return np.array([len((text or "").split()) for text in rows["text"][:]], dtype=float)


def seconds_of(rows: Dataset, kind: str = "audio", max_seconds: float | None = None) -> np.ndarray:
    """Return the duration of each audio or video, `(rows,)`, in seconds; 0 for a row without one.

    The duration is that of the span in the file, else that of the span in the dialogue, else that in the file's header.

    Args:
        rows: Rows of the corpus schema.
        kind: "audio" or "video".
        max_seconds: Length that the processor cuts to.

    Raises:
        ValueError: If a header is needed and cannot be read.
    """
    columns = [name for name in (kind, "start", "end") if name in rows.column_names]
    found = []
    for table in rows.select_columns(columns).with_format("arrow").iter(1000):
        media = table.column(kind).combine_chunks()
        embedded = media.field("bytes") if media.type.get_field_index("bytes") >= 0 else None
        inside = [
            table.column(name).to_pylist() if name in columns else [None] * len(table) for name in ("start", "end")
        ]
        spans = zip(*(media.field(name).to_pylist() for name in ("path", "start", "end")), *inside, strict=True)
        for row, (source, start, end, first, last) in enumerate(spans):
            data = embedded[row] if embedded is not None and embedded[row].is_valid else None
            if source is None and data is None:
                seconds = 0.0
            elif end is not None:
                seconds = end - (start or 0.0)
            elif first is not None and last is not None:
                seconds = last - first
            else:
                seconds = _header(source if data is None else data.as_py(), kind) - (start or 0.0)
            found.append(seconds)
    return np.minimum(found, math.inf if max_seconds is None else max_seconds)


def padding_of(batch: Mapping) -> tuple[int, int]:
    """Return the number of unpadded and of all positions of a batch, for its audio, else its text, else its video.

    Args:
        batch: A batch of the collator, with `lengths`; without, both are 0.
    """
    batch = batch.get("encoded", batch)  # from a prefix cache
    lengths = batch.get("lengths") or {}
    for name, modality in MODALITIES.items():
        if name in lengths:
            return sum(lengths[name]), batch.get(modality.mask, batch.get(f"{name}_mask")).numel()
    return 0, 0


def find_longest(splits: Iterable[Dataset], processor: ProcessorMixin) -> float | None:
    """Return the length in seconds, rounded up to 0.1 s, of the longest input of a model.

    Args:
        splits: Rows of the corpus schema.
        processor: The processor of the model, which may cut them.

    Returns:
        Seconds; None if the model takes only text, or no length is known.

    Raises:
        ValueError: If a header is needed and cannot be read.
    """
    parts = {"audio": processor.feature_extractor, "video": processor.image_processor}
    kinds = [kind for kind, part in parts.items() if part is not None]
    found = [seconds_of(rows, kind) for rows in splits for kind in kinds if kind in rows.column_names]
    known = [lengths[np.isfinite(lengths)].max(initial=0.0) for lengths in found]
    longest = min(max(known, default=0.0), math.inf if processor.max_seconds is None else processor.max_seconds)
    return math.ceil(round(10 * longest, 6)) / 10 or None


def _header(source: str | bytes, kind: str) -> float:
    if isinstance(source, bytes):
        seconds = audio_seconds(source) if kind == "audio" else video_seconds(source)
    else:
        seconds = measure(source, kind)
    return seconds or math.inf  # an unknown duration counts as one of the longest
