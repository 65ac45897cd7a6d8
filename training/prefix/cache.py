"""The cache of frozen prefixes: the frozen part of a model is computed once per utterance and then read from disk.

Each modality has its own store, named by everything that the output of its prefix depends on. Runs that differ in fusion,
head, fold, seed or other modalities share the stores.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from datasets import Dataset
from tqdm.auto import tqdm
from transformers import PreTrainedModel, ProcessorMixin, TrainerCallback

from ...configuration.modalities import CONTEXT, MODALITIES, SPAN_INPUTS, host_lengths
from ...configuration.plain_text import show_dtype
from ...modeling.modeling_emofusion import EmoFusionModel
from ..arguments import EmotionTrainingArguments
from ..collator import EmotionCollator, process_rows
from ..output_folder import find_cache_dir
from .fill import fill_store
from .keys import FileContents, describe_prefix, digest_of, ids_key, media_key
from .store import PrefixStore


@dataclass
class PrefixCache:
    """Replaces the inputs of rows by the stored outputs of a model's frozen prefix.

    Args:
        stores: Store by modality, for every modality that has a frozen prefix.
        contents: Digests of the audio and video files.
        processor: The processor of the model, for everything that is not stored: token ids, alignments, and modalities
            without a frozen prefix.
        modalities: The modalities of the model.
        span_levels: Levels of the alignment that the model reads.
        dtype: The dtype of the model.
    """

    stores: dict[str, PrefixStore]
    contents: FileContents
    processor: ProcessorMixin
    modalities: Sequence[str]
    span_levels: Sequence[str]
    dtype: torch.dtype

    def prepare(self, rows: list[Mapping]) -> dict[str, dict]:
        """Return `{"encoded": ...}` for rows, with the content of `model.encode`'s output as a plain dict.

        Raises:
            ValueError: If a row is not in a store; the row is named.
        """
        batch, encoded = self._process(rows), {}
        lengths = host_lengths(batch)
        for modality in self.modalities:
            if modality in self.stores:
                keys = self._keys(modality, rows, batch)
                if any(key is not None for key in keys):
                    encoded[modality], encoded[f"{modality}_mask"], lengths[modality] = self._read(
                        modality, keys, rows
                    )
            elif MODALITIES[modality].main_input in batch:
                encoded[modality] = batch[MODALITIES[modality].main_input]
                encoded[f"{modality}_mask"] = batch[MODALITIES[modality].mask].bool()
        names = [SPAN_INPUTS[level] for level in self.span_levels]
        spans = {name: batch[name] for name in names if name in batch}
        lengths = {name: value for name, value in lengths.items() if name in {*encoded, *self.span_levels, CONTEXT}}
        return {"encoded": encoded | spans | {"lengths": lengths}}

    def _process(self, rows: list[Mapping]) -> Mapping[str, torch.Tensor]:
        """Return the inputs that are not stored, the token ids that texts are looked up by, and the spans.

        Cached media are not decoded.
        """
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
            return {name: words[name] for name in words if name in SPAN_INPUTS.values()}
        return {}

    def _keys(self, modality: str, rows: list[Mapping], batch: Mapping[str, torch.Tensor]) -> list[bytes | None]:
        if modality != "text":
            return [None if row[modality] is None else media_key(row[modality], self.contents) for row in rows]
        text = MODALITIES["text"]
        if text.main_input not in batch:
            return [None] * len(rows)
        ids = zip(batch[text.main_input], batch[text.mask].bool(), strict=True)
        return [ids_key(row[mask]) if mask.any() else None for row, mask in ids]

    def _read(
        self, modality: str, keys: list[bytes | None], rows: list[Mapping]
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[int, ...]]:
        """Return the padded states, their mask, and their lengths."""
        store = self.stores[modality]
        for key, row in zip(keys, rows, strict=True):
            if key is not None and key not in store:
                raise ValueError(
                    f"The {modality} of row {row.get('id')!r} is not in the prefix cache {store.folder}; fill it with all "
                    "rows before they are read."
                )
        states = [None if key is None else store[key] for key in keys]
        lengths = tuple(0 if state is None else len(state) for state in states)
        inner = next(state.shape[1:] for state in states if state is not None)
        padded = torch.zeros(len(rows), max(lengths), *inner, dtype=self.dtype)
        for row, state in zip(padded, states, strict=True):
            if state is not None:
                row[: len(state)] = state
        return padded, torch.arange(padded.shape[1]) < torch.tensor(lengths)[:, None], lengths


def build_prefix_cache(
    model: PreTrainedModel, processor: ProcessorMixin, splits: Iterable[Dataset], args: EmotionTrainingArguments
) -> PrefixCache:
    """Return the cache of a model's frozen prefix, filled with the rows of all splits.

    Rows that are stored already, by this or another run, are not computed again.

    Args:
        model: A model with frozen parameters; it is moved to the device of the run.
        processor: Its processor.
        splits: The splits of the corpus.
        args: The arguments of the run: folder and dtype of the cache, device, precision and batch size.

    Raises:
        ValueError: If nothing in the model is frozen, or the disk has no room.
    """
    base = find_base(model)
    modalities = prefix_modalities(base)
    if not modalities:
        raise ValueError(
            f"cache_prefix is on, but nothing in this {type(model).__name__} is frozen; freeze a part of an encoder "
            "(freeze_feature_encoder, freeze_audio_layers, freeze_text_layers, freeze_vision_encoder), or leave it out."
        )
    root = find_cache_dir(args)
    root.mkdir(parents=True, exist_ok=True)
    splits, dtype = list(splits), getattr(torch, args.cache_dtype)
    cache = PrefixCache({}, FileContents(root), processor, base.config.modalities, base.config.span_levels, base.dtype)
    base.to(args.device)
    for modality in modalities:
        metadata = describe_prefix(base, processor, modality, name_dtype(base, args)) | {"stored_in": args.cache_dtype}
        store = PrefixStore(root / f"{modality}-{digest_of(metadata)}", dtype, metadata)
        fill_store(store, modality, base, processor, splits, cache.contents, args)
        cache.stores[modality] = store
    if args.should_log and not args.disable_tqdm:
        sizes = ", ".join(f"{name} {store.nbytes / 1e6:.0f} MB" for name, store in cache.stores.items())
        tqdm.write(f"Prefix cache in {root}: {sizes}.")
    return cache


def use_prefix_cache(
    collators: Sequence[EmotionCollator],
    model: PreTrainedModel,
    splits: Iterable[Dataset],
    args: EmotionTrainingArguments,
) -> list[EmotionCollator]:
    """Return the collators with a cache of the model's frozen prefix, which is filled first.

    Args:
        collators: The collators of a run.
        model: As in `build_prefix_cache`.
        splits: As in `build_prefix_cache`.
        args: As in `build_prefix_cache`.

    Raises:
        ValueError: As in `build_prefix_cache`, or if cached recordings are augmented.
    """
    for option, changes in (
        ("augmentation", any(collator.augment is not None for collator in collators)),
        (
            "mixup.waveform",
            any(collator.mixup is not None and collator.mixup.place == "waveform" for collator in collators),
        ),
    ):
        if changes and "audio" in prefix_modalities(find_base(model)):
            raise ValueError(
                f"cache_prefix and {option} exclude each other if the speech encoder is frozen: recordings that change in "
                "every epoch cannot be cached."
            )
    cache = build_prefix_cache(model, collators[0].processor, splits, args)
    return [replace(collator, cache=cache) for collator in collators]


class PrefixGuard(TrainerCallback):
    """Refuses to resume from a checkpoint whose frozen weights are not those that the cache was computed with."""

    def __init__(self, cache: PrefixCache):
        self.cache = cache

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        """Compare the weights if the run is resumed.

        Raises:
            ValueError: If they differ.
        """
        base = find_base(model)
        if not state.global_step or any(hasattr(weight, "device_mesh") for weight in base.parameters()):
            return  # a new run, or sharded weights, which cannot be compared
        for modality, store in self.cache.stores.items():
            metadata = describe_prefix(base, self.cache.processor, modality, name_dtype(base, args))
            if store.folder.name != f"{modality}-{digest_of(metadata | {'stored_in': args.cache_dtype})}":
                raise ValueError(
                    f"The checkpoint's frozen {modality} encoder is not the one that {store.folder} was computed with; "
                    "resume with the arguments of the run that wrote it, seed included, or without cache_prefix."
                )


def find_base(model: PreTrainedModel) -> EmoFusionModel:
    """Return the model without head and adapters.

    Raises:
        ValueError: If there is none, as in a late fusion of other models.
    """
    for module in model.modules():
        if isinstance(module, EmoFusionModel) and module.config is model.config:
            return module
    raise ValueError(f"cache_prefix is on, but a {type(model).__name__} has no encoders of its own; leave it out.")


def prefix_modalities(base: EmoFusionModel) -> tuple[str, ...]:
    """Return the modalities with a frozen prefix; the spectrogram of a speaker network is one."""
    config = base.config
    has_prefix = {
        "audio": "audio" not in config.encoders or config.freeze_feature_encoder or config.freeze_audio_layers != 0,
        "text": config.freeze_text_layers == -1,
        "video": config.freeze_vision_encoder,
    }
    return tuple(modality for modality in config.modalities if has_prefix[modality])


def name_dtype(base: EmoFusionModel, args: EmotionTrainingArguments) -> str:
    """Return the name of the dtype that a run computes in."""
    return "bfloat16" if args.bf16 else "float16" if args.fp16 else show_dtype(base.dtype)
