"""Loading of weights: complete, and from safetensors only."""

import json
import os
from collections.abc import Iterable

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME, CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, cached_file

from ..configuration.modalities import Modality

# Weights that a pretrained encoder may lack: the first is used by SpecAugment only, the others not at all.
OPTIONAL_WEIGHTS = ("masked_spec_embed", "pooler.", "decoder.")
# Weights of heads, which a model without a head does not load.
HEADS = ("classifier.", "speaker_classifier.")
# Arguments of `from_pretrained` that locate files.
LOCATION_ARGUMENTS = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")


class SafeLoadingMixin:
    """Stricter loading for a `PreTrainedModel`: lost weights are errors, and pickles are not opened."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *model_args,
        output_loading_info: bool = False,
        **kwargs,
    ) -> PreTrainedModel | tuple[PreTrainedModel, dict]:
        """Load a model as transformers does, but in float32, and raise if a weight is lost or not in safetensors.

        Args:
            pretrained_model_name_or_path: A folder or Hub id of a model or of adapters.
            *model_args: As in transformers.
            output_loading_info: Whether to return the names of missing (newly initialised) and unexpected weights as
                well. They are then no error.
            **kwargs: As in transformers. `dtype` defaults to float32 for all parts, whatever the checkpoint was saved
                in; `"auto"` keeps the saved dtype.

        Returns:
            The model, or the model and the loading info.

        Raises:
            ValueError: If a weight is missing or unexpected, or is not in a safetensors file.
        """
        source = pretrained_model_name_or_path
        if kwargs.get("use_safetensors") is False:
            raise ValueError(f"{cls.__name__} is loaded from safetensors only: leave out use_safetensors=False.")
        if source is not None:
            refuse_pickles(source, **kwargs)
        if kwargs.get("dtype") is None and kwargs.get("torch_dtype") is None:
            kwargs["dtype"] = torch.float32
        kwargs |= {"use_safetensors": True, "output_loading_info": True}
        model, info = super().from_pretrained(source, *model_args, **kwargs)
        if output_loading_info:
            return model, info
        has_head = model.base_model is not model
        missing = info["missing_keys"]
        unexpected = [key for key in info["unexpected_keys"] if has_head or not key.startswith(HEADS)]
        if missing or unexpected:
            raise ValueError(
                f"{source or 'The state_dict'} {_describe_lost(cls, missing, unexpected)}: load it as the class that it was "
                "saved from, or pass output_loading_info=True, which returns their names instead of raising."
            )
        return model

    def load_adapter(self, peft_model_id: str | None = None, *args, **kwargs):
        """Load adapters as transformers does; raise if a weight is lost or not in safetensors.

        Args:
            peft_model_id: A folder or Hub id of adapters.
            *args: As in transformers.
            **kwargs: As in transformers.

        Raises:
            OSError: If the adapters are not in safetensors.
            ValueError: If a weight is missing or unexpected. Older versions of transformers do not load the weights
                of fusion and head.
        """
        if peft_model_id is not None:
            place = getattr(kwargs.get("load_config"), "download_kwargs", None) or {}
            place = place | kwargs | (kwargs.get("adapter_kwargs") or {})
            # After a base model was loaded, this holds the revision of the base's repository.
            place["revision"] = getattr(place.get("revision"), "initial", place.get("revision"))
            _find(peft_model_id, ADAPTER_SAFE_WEIGHTS_NAME, **place)
        info = super().load_adapter(peft_model_id, *args, **kwargs)
        if lost := sorted(info.missing_keys | info.unexpected_keys):
            raise ValueError(
                f"{len(lost)} weights of the adapters were not loaded ({_shorten(lost)}): update transformers, or "
                "load the base model and then the adapters with peft.PeftModel.from_pretrained."
            )
        return info


def weight_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """Return the dtype of all weights of a new model.

    Small updates vanish in half precision, so trained weights are float32 unless another dtype is given.

    Args:
        dtype: A dtype or its name; None is float32.

    Raises:
        ValueError: If it is no dtype of real numbers. `"auto"` is refused, as each part may have been saved in another.
    """
    chosen = torch.float32 if dtype is None else getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if not (isinstance(chosen, torch.dtype) and chosen.is_floating_point):
        raise ValueError(f"dtype is {dtype!r}; give float32, bfloat16 or float16, which all parts of the model get.")
    return chosen


def set_dtype(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Cast all parts of a model, and note the dtype in its configuration.

    Args:
        model: The model.
        dtype: The dtype of all floating-point weights.
    """
    model.config.dtype = dtype
    for name in model.config.sub_configs:
        if getattr(model.config, name) is not None:
            getattr(model.config, name).dtype = dtype
    return model.to(dtype)


def load_encoder(modality: Modality, source: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a pretrained encoder.

    Args:
        modality: The modality of the encoder.
        source: A folder or Hub id.
        dtype: The dtype of the weights, whatever the checkpoint was saved in.

    Raises:
        ValueError: If the checkpoint lacks weights, or has weights that are not in safetensors.
    """
    refuse_pickles(source)
    encoder, info = AutoModel.from_pretrained(source, dtype=dtype, use_safetensors=True, output_loading_info=True)
    missing = [key for key in info["missing_keys"] if not key.startswith(OPTIONAL_WEIGHTS)]
    if missing:
        shown = ", ".join(sorted(missing)[:3])
        raise ValueError(
            f"The {modality.encoder_kind} checkpoint {source!r} lacks {len(missing)} weights of {type(encoder).__name__} "
            f"({shown}, ...); give a checkpoint of that architecture."
        )
    if "masked_spec_embed" in info["missing_keys"]:  # older transformers leaves it uninitialised for some types
        nn.init.uniform_(encoder.masked_spec_embed)
    return encoder


def refuse_pickles(source: str | os.PathLike, variant: str | None = None, **place) -> None:
    """Check that all weights of a model are in safetensors files.

    `use_safetensors=True` is not enough: an index, or `transformers_weights` in a configuration, may name any file,
    and transformers chooses the reader by the file name.

    Args:
        source: A folder, file or Hub id of the model.
        variant: As in `from_pretrained`.
        **place: Arguments of `from_pretrained` that locate files (`revision`, `token`, ...); others are ignored.

    Raises:
        ValueError: If a file of weights is not in safetensors.
    """
    if os.path.isfile(source):
        named = {str(source)}
    elif config := _read(source, CONFIG_NAME, **place):
        index = SAFE_WEIGHTS_INDEX_NAME if variant is None else f"model.safetensors.index.{variant}.json"
        named = {config.get("transformers_weights") or "model.safetensors"}
        named |= set(_read(source, index, **place).get("weight_map", {}).values())
    else:
        base = _read(source, "adapter_config.json", **place).get("base_model_name_or_path")
        return None if base is None else refuse_pickles(base, variant, **place)
    if others := [name for name in named if not name.endswith(".safetensors")]:
        raise ValueError(
            f"{source} has weights in {_shorten(others)}, which is not opened because loading it may run code: "
            "save the weights as safetensors."
        )


def _read(source: str | os.PathLike, name: str, **place) -> dict:
    try:
        file = _find(source, name, **place)
    except OSError:
        file = None
    if file is None:  # absent, or transformers will raise with the reason
        return {}
    with open(file, encoding="utf-8") as opened:
        return json.load(opened)


def _find(source: str | os.PathLike, name: str, **place) -> str | None:
    place = {argument: place[argument] for argument in LOCATION_ARGUMENTS if place.get(argument) is not None}
    return cached_file(source, name, **place)


def _describe_lost(model_class: type, missing: set[str], unexpected: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"lacks {len(missing)} weights of {model_class.__name__} ({_shorten(missing)})")
    if unexpected:
        parts.append(f"has {len(unexpected)} that {model_class.__name__} does not have ({_shorten(unexpected)})")
    return " and ".join(parts)


def _shorten(names: Iterable[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join([*shown, "..."] if len(names) > len(shown) else shown)
