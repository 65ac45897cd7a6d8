"""LoRA adapters (Hu et al. 2021, arXiv 2106.09685) in the encoders through peft; fusion and head are trained fully."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin, TrainingArguments

from ...configuration.modalities import MODALITIES
from .base import check_quantization, find_source, load_quantized, save_base
from .lora_settings import Lora

if TYPE_CHECKING:
    from peft import PeftModel

# model_type -> layers that get adapters by default: queries and values, as in the paper. Vision encoders get none.
TARGETS = {
    **dict.fromkeys(("wav2vec2", "hubert", "data2vec-audio", "whisper"), ("q_proj", "v_proj")),
    "wavlm": ("intermediate_dense", "output_dense"),
    **dict.fromkeys(("bert", "roberta", "xlm-roberta"), ("query", "value")),
    "deberta-v2": ("query_proj", "value_proj"),
    "modernbert": ("Wqkv",),
}
# Layers whose weights are read without calling the layer, so that adapters in them would never be computed.
BYPASSED = {"wavlm": ("q_proj", "k_proj", "v_proj", "out_proj")}
ADAPTABLE = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d)


def add_adapters(
    model: PreTrainedModel,
    lora: Mapping,
    processor: ProcessorMixin,
    args: TrainingArguments,
    source: str | None = None,
    quantization: str | None = None,
) -> "PeftModel":
    """Return a classifier with adapters in its encoders; the rest of the encoders is frozen, everything else is trained.

    Layers that the configuration freezes get no adapters. An encoder without adapters is frozen.

    Args:
        model: A classifier of emofusion with encoders.
        lora: Fields of [`Lora`].
        processor: The processor of the model.
        args: The arguments of the run. Unless `source` equals the model, the model is saved in `base` in `output_dir`.
        source: The checkpoint that the whole model was loaded from, if any.
        quantization: "8bit" or "4bit" to quantise the encoders.

    Raises:
        ImportError: If bitsandbytes is needed and not installed.
        ValueError: If a layer does not exist, is frozen or cannot have adapters, or quantisation is not possible here.
    """
    if quantization is not None:
        check_quantization(args)
    lora = Lora(**lora)
    targets = find_targets(model, lora)
    base = find_source(model, source) or save_base(model, processor, args)
    if quantization is not None:
        model = load_quantized(model, base, quantization, find_whole(model))
    model.name_or_path = base
    return put_adapters(model, lora, targets)


def put_adapters(model: PreTrainedModel, lora: Lora, targets: Mapping[str, list[str]]) -> "PeftModel":
    """Put adapters into a model and freeze the rest of its encoders.

    Args:
        model: A classifier of emofusion; the adapters will name its `name_or_path` as their base.
        lora: Settings of the adapters.
        targets: Layers per encoder, from `find_targets`.
    """
    from peft import LoraConfig, get_peft_model

    whole = find_whole(model)
    _freeze_without(model, targets)
    config = LoraConfig(
        task_type="SEQ_CLS",  # AutoPeftModelForSequenceClassification finds the class of a base with remote code by it
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=float(lora.dropout),
        use_rslora=lora.use_rslora,
        use_dora=lora.use_dora,
        target_modules=_as_pattern(name for names in targets.values() for name in names),
        modules_to_save=whole,
    )
    return get_peft_model(model, config)


def find_targets(model: PreTrainedModel, lora: Lora) -> dict[str, list[str]]:
    """Return the names of the layers that get adapters, per encoder that gets any.

    Args:
        model: The model, with the layers frozen that its configuration names.
        lora: Settings of the adapters.

    Raises:
        ValueError: If a layer does not exist, is frozen, or cannot have adapters.
    """
    targets = {}
    for modality in MODALITIES.values():
        kind = modality.encoder_kind
        wanted = getattr(lora, kind)
        if modality.name not in model.config.encoders:
            if wanted:
                raise ValueError(f"lora.{kind} is given, but this {type(model).__name__} has no such encoder.")
            continue
        encoder = getattr(model.base_model, modality.encoder)
        ends = TARGETS.get(encoder.config.model_type, ()) if wanted is None else wanted
        found = _find_layers(kind, encoder, ends)
        free = [name for name, layer in found.items() if layer.weight.requires_grad]
        if wanted and not free:
            raise ValueError(
                f"lora.{kind} names layers that are all frozen by {modality.freeze_field}; adapters can only be above "
                "what is frozen."
            )
        if free:
            targets[kind] = [f"{model.base_model_prefix}.{modality.encoder}.{name}" for name in free]
    if not targets:
        raise ValueError(
            f"lora is given, but this {type(model).__name__} has no layer for adapters: it has no encoder, all are frozen "
            "(freeze_audio_layers, freeze_text_layers), or no layer is named."
        )
    return targets


def find_whole(model: PreTrainedModel) -> list[str]:
    """Return the names of the modules that are trained and saved fully: everything that is not inside an encoder.

    A container, which is never called, is replaced by its children.
    """
    encoders = {f"{model.base_model_prefix}.{modality.encoder}" for modality in MODALITIES.values()}
    opened = (nn.ModuleDict, nn.ModuleList, type(model), type(model.base_model))

    def walk(name: str, module: nn.Module) -> Iterator[str]:
        if name in encoders or not any(True for _ in module.parameters()):
            return
        if not isinstance(module, opened):
            yield name
            return
        for child, inner in module.named_children():
            yield from walk(f"{name}.{child}" if name else child, inner)

    return list(walk("", model))


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Return the number of parameters in `total`, and of those that are `trainable`.

    peft keeps a fully trained module twice; the trained copy counts.
    """
    own = {name: weight for name, weight in model.named_parameters() if ".original_module." not in name}
    return {
        "total": sum(_size(weight) for weight in own.values()),
        "trainable": sum(_size(weight) for weight in own.values() if weight.requires_grad),
    }


def describe_adapter(model: nn.Module) -> dict | None:
    """Return the settings of a model's adapters, None if it has none."""
    config = getattr(model, "peft_config", {}).get("default")
    if config is None:
        return None
    return {
        "method": "lora",
        "rank": config.r,
        "alpha": config.lora_alpha,
        "dropout": config.lora_dropout,
        "use_rslora": config.use_rslora,
        "use_dora": config.use_dora,
        "layers": sorted({name.rpartition(".")[2] for name in model.targeted_module_names}),
        "base_model": config.base_model_name_or_path,
    }


def saved_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint of the model: with adapters, only these and the fully trained modules."""
    if not hasattr(model, "peft_config"):
        return model.state_dict()
    from peft import get_peft_model_state_dict

    return get_peft_model_state_dict(model, save_embedding_layers=False)


def unwrap_adapters(model: nn.Module) -> PreTrainedModel:
    """Return the model that adapters are in; a model without adapters is returned unchanged."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def _find_layers(kind: str, encoder: PreTrainedModel, ends: Iterable[str]) -> dict[str, nn.Module]:
    model_type = encoder.config.model_type
    layers = {name: module for name, module in encoder.named_modules() if isinstance(module, ADAPTABLE)}
    found = {}
    for end in ends:
        if end.rpartition(".")[2] in BYPASSED.get(model_type, ()):
            raise ValueError(
                f"lora.{kind} names {end!r}, whose weights {model_type} reads without calling the layer, so that an adapter "
                f"would have no effect; choose others, such as {' and '.join(TARGETS[model_type])}."
            )
        matching = {name: layer for name, layer in layers.items() if f".{name}".endswith(f".{end}")}
        if not matching:
            names = sorted({name.rpartition(".")[2] for name, layer in layers.items() if isinstance(layer, nn.Linear)})
            raise ValueError(
                f"lora.{kind} names {end!r}, but this {model_type} has no such layer; it has {', '.join(names)}."
            )
        found |= matching
    return {name: layer for name, layer in layers.items() if name in found}


def _as_pattern(names: Iterable[str]) -> str:
    """Return a regular expression that matches exactly these names; names that differ in their first number are joined."""
    numbers = defaultdict(list)
    for name in names:
        number = re.search(r"(?<=\.)\d+(?=\.)", name)
        if number is None:
            numbers[name, ""].append("")
        else:
            numbers[name[: number.start()], name[number.end() :]].append(number[0])
    return "|".join(
        re.escape(head) + (f"({'|'.join(found)})" if found != [""] else "") + re.escape(tail)
        for (head, tail), found in numbers.items()
    )


def _freeze_without(model: PreTrainedModel, targets: Mapping[str, list[str]]) -> None:
    """Freeze every encoder without adapters, and the convolutions of those with adapters, in the configuration too.

    What the configuration freezes is computed without dropout and gradients, and can be cached.
    """
    config = model.config
    for name, modality in MODALITIES.items():
        if name not in config.encoders:
            continue
        if name == "audio":
            config.freeze_feature_encoder = True
        if modality.encoder_kind in targets:
            continue
        if modality.has_layers:
            config.set_frozen_layers(name, -1)
        else:
            setattr(config, modality.freeze_field, True)
    model.base_model.freeze()


def _size(weight: torch.Tensor) -> int:
    """Return the number of values in a parameter; in 4 bit, one byte holds two."""
    return weight.numel() * (2 if type(weight).__name__ == "Params4bit" else 1)
