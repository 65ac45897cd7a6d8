"""Loading of weights: complete, and from safetensors only."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging import LogRecord, getLogger

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedModel
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME, cached_file

from ..configuration.configuration_checks import build_config
from ..configuration.folder_checks import locating
from ..configuration.modalities import Modality
from ..configuration.plain_text import show_some
from .encoder_building import build_encoder
from .modeling_checkpoint import (
    Headers,
    check_dtypes,
    check_files,
    check_finite,
    count_weights,
    one_sentence,
    read_header,
)
from .modeling_dtype import choose_dtype

# Weights that a pretrained encoder may lack: the first is used by SpecAugment only, the others not at all.
OPTIONAL_WEIGHTS = ("masked_spec_embed", "pooler.", "decoder.")
# Weights of heads, which a model without a head does not load.
HEADS = ("auxiliary_heads.", "classifier.", "dimension_head.", "speaker_classifier.")


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
                in; `"auto"` keeps the saved dtype, except where a large float32 model runs faster in bfloat16 on this
                CPU (see `choose_dtype`).

        Returns:
            The model, or the model and the loading info.

        Raises:
            OSError: If a file is missing.
            ValueError: If a weight is missing or unexpected, has another shape, is NaN or infinite, or is not in a
                safetensors file, or a file is damaged.
        """
        source = pretrained_model_name_or_path
        if kwargs.get("use_safetensors") is False:
            raise ValueError(f"{cls.__name__} is loaded from safetensors only: leave out use_safetensors=False.")
        dtype = kwargs.pop("torch_dtype", None) if kwargs.get("dtype") is None else kwargs["dtype"]
        kwargs["dtype"] = torch.float32 if dtype is None else dtype
        model, info = load_checked(super().from_pretrained, source, *model_args, **kwargs)
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
        return choose_dtype(model) if dtype == "auto" else model

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
            read_header(cached_file(peft_model_id, ADAPTER_SAFE_WEIGHTS_NAME, **locating(place)))
        with one_sentence(peft_model_id), _without_report():
            info = super().load_adapter(peft_model_id, *args, **kwargs)
        other_shape = {name for name, *_ in getattr(info, "mismatched_keys", ())}
        if lost := sorted(info.missing_keys | info.unexpected_keys | other_shape):
            raise ValueError(
                f"{peft_model_id}: {count_weights(lost)} of the adapters could not be loaded ({show_some(lost)}): its files do "
                "not belong together, or transformers is too old; load the base model and then the adapters with "
                "peft.PeftModel.from_pretrained."
            )
        check_finite(self, peft_model_id)
        return info


def load_checked(
    load: Callable, source: str | os.PathLike | None, *args, headers: Headers | None = None, **kwargs
) -> tuple[PreTrainedModel, dict]:
    """Load weights after a check of their files; every failure is one sentence.

    Args:
        load: The `from_pretrained` of a class.
        source: A folder or Hub id; None for a `state_dict` among the keyword arguments.
        *args: Its other positional arguments.
        headers: What `check_files` returned, if the files are checked already.
        **kwargs: Its keyword arguments.

    Returns:
        The model and the loading info.

    Raises:
        OSError: If a file is missing.
        ValueError: If a file is damaged, or a weight has another shape or is NaN or infinite.
    """
    if headers is None:
        headers = {} if source is None else check_files(source, **kwargs)
    may_differ = kwargs.get("ignore_mismatched_sizes", False)
    kwargs |= {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    with one_sentence(source), _without_report():
        model, info = load(source, *args, **kwargs)
    if info["mismatched_keys"] and not may_differ:
        name, saved, built = sorted(info["mismatched_keys"], key=lambda entry: entry[0])[0]
        raise ValueError(
            f"{source or 'The state_dict'} has {count_weights(info['mismatched_keys'])} of another shape than its "
            f"configuration says ({name} is {list(saved)} instead of {list(built)}): its files do not belong together."
        )
    for module in model.modules():
        if isinstance(module, nn.RNNBase):  # loading has separated its weights, which cuDNN wants one behind the other
            module.flatten_parameters()
    check_dtypes(model, headers)
    check_finite(model, source or "The state_dict")
    return model, info


def load_encoder(modality: Modality, source: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a pretrained encoder.

    Args:
        modality: The modality of the encoder.
        source: A folder or Hub id.
        dtype: The dtype of the weights, whatever the checkpoint was saved in.

    Raises:
        ValueError: If the checkpoint lacks weights, or has weights that are not in safetensors.
    """
    headers = check_files(source)
    field = modality.config_field
    with one_sentence(source):
        config = build_config(field, AutoConfig.from_pretrained, source)
        with torch.device("meta"):  # costs no memory, and names the field at fault
            build_encoder(field, config)
    encoder, info = load_checked(AutoModel.from_pretrained, source, config=config, dtype=dtype, headers=headers)
    missing = [key for key in info["missing_keys"] if not key.startswith(OPTIONAL_WEIGHTS)]
    if missing:
        raise ValueError(
            f"The {modality.encoder_kind} checkpoint {source!r} lacks {count_weights(missing)} of {type(encoder).__name__} "
            f"({show_some(missing)}); give a checkpoint of that architecture."
        )
    if "masked_spec_embed" in info["missing_keys"]:  # older transformers leaves it uninitialised for some types
        nn.init.uniform_(encoder.masked_spec_embed)
    return encoder


@contextmanager
def _without_report() -> Iterator[None]:
    """Leave out the table of lost weights that transformers logs: callers have their names, and raise a sentence."""
    loggers = [getLogger(f"transformers.{module}") for module in ("modeling_utils", "integrations.peft")]
    for logger in loggers:
        logger.addFilter(_is_no_report)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_no_report)


def _is_no_report(record: LogRecord) -> bool:
    return "LOAD REPORT" not in str(record.msg)


def _describe_lost(model_class: type, missing: set[str], unexpected: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"lacks {count_weights(missing)} of {model_class.__name__} ({show_some(missing)})")
    if unexpected:
        parts.append(f"has {len(unexpected)} that {model_class.__name__} does not have ({show_some(unexpected)})")
    return " and ".join(parts)
