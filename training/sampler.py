"""Batches of utterances of similar length, planned once for all processes (ours)."""

import io
import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from datasets import Dataset
from transformers import ProcessorMixin, TrainerCallback

from ..corpora.preparation.inspection import measure

POOL = 8  # batches that are drawn from one stretch of similar lengths: more mix better and pad more
SHORTEST = 0.5  # seconds that an utterance counts at least: very many rows cost more than their sound


class LengthGroupedBatchSampler(torch.utils.data.BatchSampler):
    """Every utterance once an epoch, in batches of similar length.

    An epoch is one plan, which depends on the seed and the epoch alone. A step of it is shared by all processes: they
    get as many utterances each, or one more, none twice. The batches come in the order in which accelerate deals them
    out: those of the first step for process 0, 1, ..., then those of the next. The number of steps is the same in every
    epoch.

    Utterances are sorted by length and cut into stretches of `POOL` steps; a stretch is shuffled anew in each epoch, and
    so is the order of all steps.

    Args:
        lengths: of the utterances, `(utterances,)`; in seconds for `max_seconds`, else in any unit.
        batch_size: utterances of a batch of one process. Either this or the next.
        max_seconds: seconds of a batch of one process, its padding counted.
        num_processes: that train together.
        seed: of the shuffling.

    Raises:
        ValueError: if an utterance is longer than a batch may be, or there are too few for all processes.
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
        self.batch_size = None  # tells accelerate that batches differ in size
        self.drop_last = False
        self._stretches = self._cut(batch_size, max_seconds)

    def __len__(self) -> int:
        """Batches of all processes together."""
        return self.num_processes * sum(steps for _, steps in self._stretches)

    def __iter__(self) -> Iterator[list[int]]:
        random = np.random.default_rng([self.seed, self.epoch])
        plan = [step for rows, steps in self._stretches for step in np.array_split(random.permutation(rows), steps)]
        for index in random.permutation(len(plan)):
            step = plan[index][np.argsort(self.lengths[plan[index]], kind="stable")]
            for process in range(self.num_processes):  # neighbours in length, so that none waits long for the others
                yield step[process :: self.num_processes].tolist()

    def set_epoch(self, epoch: int) -> None:
        """Plan this epoch from now on."""
        self.epoch = epoch

    def padding(self) -> float:
        """Share of the epoch's batches that is padding."""
        batches = [self.lengths[batch] for batch in self]
        padded = sum(len(batch) * batch.max() for batch in batches)
        return 1 - self.lengths.sum() / padded if padded else 0.0

    def _cut(self, batch_size: int | None, max_seconds: float | None) -> list[tuple[np.ndarray, int]]:
        """Stretches of similar lengths, the longest first, and how many steps each is."""
        order = np.argsort(-self.lengths, kind="stable")
        if len(order) < self.num_processes:
            raise ValueError(f"{len(order)} utterances are too few for {self.num_processes} processes.")
        stretches, start = [], 0
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
            if 0 < len(order) - end < self.num_processes:  # leave the last stretch enough for all
                end = len(order) - self.num_processes
            steps = math.ceil((end - start) / size)
            if (end - start) // steps < self.num_processes:
                raise ValueError(
                    f"{len(order)} utterances, one at a time, cannot be dealt to {self.num_processes} processes evenly; "
                    "give larger batches."
                )
            stretches.append((order[start:end], steps))
            start = end
        return stretches


class EpochSetter(TrainerCallback):
    """Tells the sampler which epoch begins.

    accelerate does so too, but not where several processes resume in the middle of an epoch: the sampler is then wrapped
    once more than it looks for.
    """

    def on_epoch_begin(self, args, state, control, train_dataloader=None, **kwargs):
        """Set the epoch of every sampler below the loader."""
        sampler = getattr(train_dataloader, "batch_sampler", None)
        while sampler is not None:
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(int(state.epoch or 0))
            sampler = getattr(sampler, "batch_sampler", getattr(sampler, "sampler", None))


def lengths_of(rows: Dataset, processor: ProcessorMixin, in_seconds: bool = False) -> np.ndarray:
    """How long each utterance is for a model, `(rows,)`: seconds of what it hears, else of what it sees, else words.

    Args:
        rows: of a corpus, in its schema.
        processor: the model's.
        in_seconds: whether seconds are wanted, whatever the model.

    Raises:
        ValueError: if they are, and the model reads only words.
    """
    if processor.feature_extractor is not None:
        return seconds_of(rows, "audio", processor.max_seconds)
    if processor.image_processor is not None:
        return seconds_of(rows, "video", processor.max_seconds)
    if in_seconds:
        raise ValueError("max_batch_seconds is given, but the model reads only words; use group_by_length.")
    return np.array([len((text or "").split()) for text in rows["text"]], dtype=float)


def seconds_of(rows: Dataset, kind: str = "audio", max_seconds: float | None = None) -> np.ndarray:
    """How long each recording (or, of kind "video", each film) lasts, `(rows,)`; 0 where there is none.

    It is the span inside its file, else that inside the dialogue, else what the file's header says.

    Args:
        rows: of a corpus, in its schema.
        kind: which of the two.
        max_seconds: where the processor cuts.

    Raises:
        ValueError: if a header must be read and cannot be.
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


def padding_of(batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
    """Numbers of positions of the batch's recordings, else of its words, that are real, and of all."""
    batch = batch.get("encoded", batch)  # which a prefix cache gives instead
    names = ("audio_attention_mask", "audio_mask", "attention_mask", "text_mask")
    mask = next((batch[name] for name in names if name in batch), None)
    return None if mask is None else torch.stack([mask.sum(), torch.tensor(mask.numel(), device=mask.device)])


def _header(source: str | bytes, kind: str) -> float:
    if isinstance(source, bytes):
        import soundfile

        return soundfile.info(io.BytesIO(source)).duration
    return measure(source, kind) or math.inf  # a header that does not say is taken for one of the longest
