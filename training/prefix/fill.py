"""Fill a prefix store: find the missing rows, estimate their size, and compute their prefix."""

import math
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from tqdm.auto import tqdm
from transformers import ProcessorMixin

from ...configuration.modalities import MODALITIES, host_lengths
from ...configuration.plain_text import format_size
from ...modeling.modeling_emofusion import EmoFusionModel
from ..arguments import EmotionTrainingArguments
from ..collator import context_columns
from ..sampler import seconds_of
from .keys import FileContents, ids_key, media_key
from .store import PrefixStore

TEXTS = 1000  # texts that are tokenised at a time
DEFAULT_SECONDS = 10.0  # duration of a recording without one in its header; most utterances are shorter
ROOM = 1.05  # free room on the disk, relative to the estimated size


def fill_store(
    store: PrefixStore,
    modality: str,
    base: EmoFusionModel,
    processor: ProcessorMixin,
    splits: Sequence[Dataset],
    contents: FileContents,
    args: EmotionTrainingArguments,
) -> None:
    """Compute the missing rows of one modality.

    Args:
        store: The store to fill.
        modality: The modality.
        base: The model without its head, on its device.
        processor: The processor of the model.
        splits: The splits of the corpus.
        contents: Digests of the files; those of new files are added.
        args: The arguments of the run.

    Raises:
        ValueError: If the disk has no room.
    """
    with args.main_process_first(desc="reading the files"):  # the main process stores the digests for the others
        rows = list(_scan(modality, processor, splits, contents))
    missing = {key: place for key, *place in rows if key not in store}  # split, row and length
    if not missing:
        return
    names = [modality, *(context_columns(processor, splits[0].column_names) if modality == "text" else ())]
    columns = [rows.select_columns(names) for rows in splits]

    def load(keys: list[bytes]) -> Mapping[str, torch.Tensor]:
        items = [columns[split][row] for split, row, _ in map(missing.get, keys)]
        return processor(**{name: [item[name] for item in items] for name in names}, padding=True, return_tensors="pt")

    def encode(inputs: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, tuple[int, ...]]:
        device, half = args.device, torch.float16 if args.fp16 else torch.bfloat16
        names, lengths = (MODALITIES[modality].main_input, MODALITIES[modality].mask), host_lengths(inputs)
        with torch.autocast(device.type, half, enabled=args.bf16 or (args.fp16 and device.type != "cpu")):
            encoded = base.encode(**{name: inputs[name].to(device) for name in names}, lengths=lengths)
        return encoded[modality].to(store.dtype).cpu(), encoded.lengths[modality]

    def compute(keys: list[bytes]) -> Iterator[tuple[bytes, torch.Tensor]]:
        keys = sorted(keys, key=lambda key: missing[key][-1])  # for little padding
        size = args.per_device_eval_batch_size
        batches = [keys[start : start + size] for start in range(0, len(keys), size)]
        # Threads cannot share a tokenizer.
        threads = 1 if modality == "text" else max(1, args.dataloader_num_workers)
        for batch, inputs in _ahead(load, batches, threads):
            states, lengths = encode(inputs)
            for key, row, length in zip(batch, states, lengths, strict=True):
                yield key, row[:length]
            bar.update(len(batch))

    check_room(store, _estimate(modality, processor, encode, [length for *_, length in missing.values()]))
    with tqdm(total=len(missing), desc=f"Prefix cache, {modality}", disable=args.disable_tqdm or None) as bar:
        store.fill(missing, compute)


def check_room(store: PrefixStore, needed: float) -> None:
    """Check that the disk has room for `needed` bytes.

    Raises:
        ValueError: If it has not.
    """
    free = shutil.disk_usage(store.folder).free
    if needed * ROOM > free:
        raise ValueError(
            f"The prefix cache {store.folder} needs about {format_size(needed)}, and {format_size(free)} are free; give "
            "another cache_dir, cache_dtype bfloat16 for half of it, or leave cache_prefix out."
        )


def _scan(
    modality: str, processor: ProcessorMixin, splits: Sequence[Dataset], contents: FileContents
) -> Iterator[tuple[bytes, int, int, float]]:
    """Yield key, number of the split, row and length (seconds, or tokens) of all rows that have the modality."""
    for number, rows in enumerate(splits):
        if modality == "text":
            yield from ((key, number, row, length) for key, row, length in _scan_texts(processor, rows))
            continue
        seconds = seconds_of(rows, modality, processor.max_seconds)
        on_disk = []
        for row, (item, length) in enumerate(zip(rows[modality], seconds.tolist(), strict=True)):
            length = length if math.isfinite(length) else DEFAULT_SECONDS
            if item is not None and item.get("bytes") is None:
                on_disk.append((item, row, length))
            elif item is not None:
                yield media_key(item, contents), number, row, length
        contents.add(item["path"] for item, _, _ in on_disk)
        yield from ((media_key(item, contents), number, row, length) for item, row, length in on_disk)


def _scan_texts(processor: ProcessorMixin, rows: Dataset) -> Iterator[tuple[bytes, int, int]]:
    present = [row for row, text in enumerate(rows["text"][:]) if text is not None]
    columns = rows.select_columns(["text", *context_columns(processor, rows.column_names)])
    for start in range(0, len(present), TEXTS):
        chunk = present[start : start + TEXTS]
        batch = processor(**columns[chunk], padding=True, return_tensors="pt")
        for row, ids, mask in zip(chunk, batch["input_ids"], batch["attention_mask"].bool(), strict=True):
            yield ids_key(ids[mask]), row, int(mask.sum())


def _estimate(
    modality: str,
    processor: ProcessorMixin,
    encode: Callable[[Mapping[str, torch.Tensor]], tuple[torch.Tensor, tuple[int, ...]]],
    lengths: list[float],
) -> float:
    """Estimate the bytes of rows from their lengths and the size of one second of silence, a word or a black frame."""
    if modality == "audio":
        seconds, rate = min(1.0, processor.max_seconds or 1.0), processor.feature_extractor.sampling_rate
        inputs, unit = processor(audio=np.zeros(round(seconds * rate), np.float32), sampling_rate=rate), 1 / seconds
    elif modality == "video":
        inputs, unit = processor(video=np.zeros((1, 32, 32, 3), np.uint8)), processor.frames_per_second
    else:
        inputs = processor(text="a")
        unit = 1 / inputs["attention_mask"].sum().item()
    states, (positions,) = encode(inputs)
    return sum(lengths) * unit * states[0, :positions].nbytes


def _ahead(function: Callable[[Any], Any], items: Iterable, threads: int) -> Iterator[tuple[Any, Any]]:
    """Yield each item with the function's result, which is computed while earlier items are used."""
    with ThreadPoolExecutor(threads) as pool:
        pending = deque()
        for item in items:
            pending.append((item, pool.submit(function, item)))
            if len(pending) > threads:
                item, future = pending.popleft()
                yield item, future.result()
        for item, future in pending:
            yield item, future.result()
