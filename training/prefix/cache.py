"""The frozen part of a model, computed once for each utterance and read from disk ever after.

Each modality has a store of its own, named by all that decides what its prefix computes. Runs whose fusion, head, folds
or seeds differ, or that look at one modality more or less, share what they have in common.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from datasets import Dataset
from datasets import config as datasets_config
from tqdm.auto import tqdm
from transformers import PreTrainedModel, ProcessorMixin, TrainerCallback

from ...configuration.modalities import MODALITIES
from ...modeling.modeling_emofusion import EmoFusionModel
from ..arguments import EmotionTrainingArguments
from ..collator import EmotionCollator, process_rows
from .fill import fill_store
from .keys import FileContents, describe_prefix, digest_of, ids_key, media_key
from .store import PrefixStore


@dataclass
class PrefixCache:
    """What the frozen part of a model makes of each row, in place of the row's inputs.

    Args:
        stores: of each modality that the prefix takes anywhere.
        contents: of the files of recordings and films.
        processor: of the model, for all that is not stored: token ids, alignments and what nothing is frozen of.
        modalities: that the model looks at.
        span_levels: that its fusion reads.
        dtype: of the model.
    """

    stores: dict[str, PrefixStore]
    contents: FileContents
    processor: ProcessorMixin
    modalities: Sequence[str]
    span_levels: Sequence[str]
    dtype: torch.dtype

    def prepare(self, rows: list[Mapping]) -> dict[str, dict[str, torch.Tensor]]:
        """`encoded`, as `model.encode` gives it, of rows that the stores were filled with.

        It is a plain dict, which every library that moves batches can take apart.

        Raises:
            ValueError: if a row is not in a store; it is named.
        """
        batch, encoded = self._process(rows), {}
        for modality in self.modalities:
            if modality in self.stores:
                keys = self._keys(modality, rows, batch)
                if any(key is not None for key in keys):
                    encoded[modality], encoded[f"{modality}_mask"] = self._read(modality, keys, rows)
            elif MODALITIES[modality].main_input in batch:
                encoded[modality] = batch[MODALITIES[modality].main_input]
                encoded[f"{modality}_mask"] = batch[MODALITIES[modality].mask].bool()
        spans = {f"{level}_spans": batch[f"{level}_spans"] for level in self.span_levels if f"{level}_spans" in batch}
        return {"encoded": encoded | spans}

    def _process(self, rows: list[Mapping]) -> Mapping[str, torch.Tensor]:
        """The inputs of what is not stored, the ids by which texts are found, and the spans; no file is decoded in vain."""
        stored = {"audio", "video"} & set(self.stores)
        absent = {modality for modality in MODALITIES if all(row.get(modality) is None for row in rows)}
        if any(
            getattr(self.processor, modality.processor_part) is not None
            for name, modality in MODALITIES.items()
            if name not in stored | absent
        ):
            return process_rows(rows, self.processor, without=stored | absent)
        if self.span_levels and any(row.get("alignment") for row in rows):
            words = process_rows(
                [row | {"text": ""} for row in rows], self.processor, without=stored | absent - {"text"}
            )
            return {name: words[name] for name in words if name.endswith("_spans")}
        return {}

    def _keys(self, modality: str, rows: list[Mapping], batch: Mapping[str, torch.Tensor]) -> list[bytes | None]:
        if modality != "text":
            return [None if row[modality] is None else media_key(row[modality], self.contents) for row in rows]
        text = MODALITIES["text"]
        if text.main_input not in batch:
            return [None] * len(rows)
        ids = zip(batch[text.main_input], batch[text.mask].bool(), strict=True)
        return [ids_key(row[mask]) if mask.any() else None for row, mask in ids]

    def _read(self, modality: str, keys: list[bytes | None], rows: list[Mapping]) -> tuple[torch.Tensor, torch.Tensor]:
        store = self.stores[modality]
        for key, row in zip(keys, rows, strict=True):
            if key is not None and key not in store:
                raise ValueError(
                    f"The {modality} of row {row.get('id')!r} is not in the prefix cache {store.folder}; fill it with all "
                    "rows before they are read."
                )
        states = [None if key is None else store[key] for key in keys]
        lengths = torch.tensor([0 if some is None else len(some) for some in states])
        inner = next(some.shape[1:] for some in states if some is not None)
        padded = torch.zeros(len(rows), int(lengths.max()), *inner, dtype=self.dtype)
        for row, some in zip(padded, states, strict=True):
            if some is not None:
                row[: len(some)] = some
        return padded, torch.arange(padded.shape[1]) < lengths[:, None]


def build_prefix_cache(
    model: PreTrainedModel, processor: ProcessorMixin, parts: Iterable[Dataset], args: EmotionTrainingArguments
) -> PrefixCache:
    """The cache of a model's frozen prefix, filled with the rows of all parts of a corpus.

    What is there already, of other runs too, is not computed again.

    Args:
        model: of which something is frozen; it is moved to the device of the run.
        processor: the model's.
        parts: that will be read.
        args: of the run: where the cache is and of which dtype, the device, the precision and the batch size.

    Raises:
        ValueError: if nothing of the model is frozen, or the disk has no room.
    """
    base = find_base(model)
    modalities = prefix_modalities(base)
    if not modalities:
        raise ValueError(
            f"cache_prefix is on, but nothing of this {type(model).__name__} is frozen; freeze a part of an encoder "
            "(freeze_feature_encoder, freeze_audio_layers, freeze_text_layers, freeze_vision_encoder), or leave it out."
        )
    root = Path(datasets_config.HF_DATASETS_CACHE) / "emofusion" / "prefix"
    root = root if args.cache_dir is None else Path(args.cache_dir)
    root.mkdir(parents=True, exist_ok=True)
    parts, dtype = list(parts), getattr(torch, args.cache_dtype)
    cache = PrefixCache({}, FileContents(root), processor, base.config.modalities, base.config.span_levels, base.dtype)
    base.to(args.device)
    for modality in modalities:
        about = describe_prefix(base, processor, modality, computed_in(base, args)) | {"stored_in": args.cache_dtype}
        store = PrefixStore(root / f"{modality}-{digest_of(about)}", dtype, about)
        fill_store(store, modality, base, processor, parts, cache.contents, args)
        cache.stores[modality] = store
    if args.should_log and not args.disable_tqdm:
        sizes = ", ".join(f"{name} {store.nbytes / 1e6:.0f} MB" for name, store in cache.stores.items())
        tqdm.write(f"Prefix cache in {root}: {sizes}.")
    return cache


def use_prefix_cache(
    collators: Sequence[EmotionCollator],
    model: PreTrainedModel,
    parts: Iterable[Dataset],
    args: EmotionTrainingArguments,
) -> list[EmotionCollator]:
    """The same collators, reading what is frozen from a cache, which is filled first.

    Args:
        collators: of one run.
        model: as in `build_prefix_cache`.
        parts: see there.
        args: see there.

    Raises:
        ValueError: see there; or if recordings are augmented that would be read from the cache.
    """
    if any(collator.augment is not None for collator in collators) and "audio" in prefix_modalities(find_base(model)):
        raise ValueError(
            "cache_prefix and augmentation exclude each other where the speech encoder is frozen: what is augmented anew in "
            "every epoch cannot be computed once."
        )
    cache = build_prefix_cache(model, collators[0].processor, parts, args)
    return [replace(collator, cache=cache) for collator in collators]


class PrefixGuard(TrainerCallback):
    """Refuses to go on from a checkpoint whose frozen weights are not those that the cache was computed with."""

    def __init__(self, cache: PrefixCache):
        self.cache = cache

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        """Compare, where a run is resumed.

        Raises:
            ValueError: if they differ.
        """
        base = find_base(model)
        if not state.global_step or any(hasattr(weight, "device_mesh") for weight in base.parameters()):
            return  # a new run; or weights in pieces, which tell nothing
        for modality, store in self.cache.stores.items():
            about = describe_prefix(base, self.cache.processor, modality, computed_in(base, args))
            if store.folder.name != f"{modality}-{digest_of(about | {'stored_in': args.cache_dtype})}":
                raise ValueError(
                    f"The checkpoint's frozen {modality} encoder is not the one that {store.folder} was computed with; "
                    "resume with the arguments of the run that wrote it, seed included, or without cache_prefix."
                )


def find_base(model: PreTrainedModel) -> EmoFusionModel:
    """The model without head and adapters.

    Raises:
        ValueError: if it has none, as a late fusion of other models.
    """
    for module in model.modules():
        if isinstance(module, EmoFusionModel) and module.config is model.config:
            return module
    raise ValueError(f"cache_prefix is on, but a {type(model).__name__} has no encoders of its own; leave it out.")


def prefix_modalities(base: EmoFusionModel) -> tuple[str, ...]:
    """The modalities of which the first stage computes anything: all that is frozen, and a speaker network's spectrogram."""
    config = base.config
    taken = {
        "audio": "audio" not in config.encoders or config.freeze_feature_encoder or config.freeze_audio_layers != 0,
        "text": config.freeze_text_layers == -1,
        "video": config.freeze_vision_encoder,
    }
    return tuple(modality for modality in config.modalities if taken[modality])


def computed_in(base: EmoFusionModel, args: EmotionTrainingArguments) -> str:
    """The name of the dtype that a run computes in."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else str(base.dtype).removeprefix("torch.")
