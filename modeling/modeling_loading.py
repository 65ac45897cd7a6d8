"""Loading weights: whole or not at all, and from safetensors only."""

import json
import os
from collections.abc import Iterable

from transformers import PreTrainedModel
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME, CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, cached_file

# Weights of what stands on a model of ours: one without a head leaves them where they are.
HEADS = ("classifier.", "speakers.")
# The arguments of `from_pretrained` that say where files are.
PLACE = ("cache_dir", "local_files_only", "proxies", "revision", "subfolder", "token")


class SafeLoading:
    """For a `PreTrainedModel`, whose `from_pretrained` is content with less."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *model_args,
        output_loading_info: bool = False,
        **kwargs,
    ) -> PreTrainedModel | tuple[PreTrainedModel, dict]:
        """As transformers', but a weight that is lost is an error, and what may hold a pickle is not opened.

        Args:
            pretrained_model_name_or_path: folder or Hub id, of a model or of adapters.
            *model_args: see transformers.
            output_loading_info: whether to return also which weights are missing, and so new, and which are
                unexpected. Who asks for it judges by himself: then they are no error.
            **kwargs: see transformers.

        Raises:
            ValueError: if a weight is missing or unexpected, or one has to be read from another file than safetensors.
        """
        source = pretrained_model_name_or_path
        if kwargs.get("use_safetensors") is False:
            raise ValueError(f"{cls.__name__} is loaded from safetensors only: leave out use_safetensors=False.")
        if source is not None:
            refuse_pickles(source, **kwargs)
        kwargs |= {"use_safetensors": True, "output_loading_info": True}
        model, info = super().from_pretrained(source, *model_args, **kwargs)
        if output_loading_info:
            return model, info
        has_head = model.base_model is not model
        missing = info["missing_keys"]
        unexpected = [key for key in info["unexpected_keys"] if has_head or not key.startswith(HEADS)]
        if missing or unexpected:
            raise ValueError(
                f"{source or 'The state_dict'} {_complaint(cls, missing, unexpected)}: load it as the class that it was "
                "saved from, or pass output_loading_info=True, to go on without and be told."
            )
        return model

    def load_adapter(self, peft_model_id: str | None = None, *args, **kwargs):
        """As transformers', but a weight that is lost is an error, and a pickle is not opened.

        Raises:
            OSError: if the adapters are not in safetensors.
            ValueError: if a weight is missing, or has no place. Older transformers do not find those of fusion and head.
        """
        if peft_model_id is not None:
            place = getattr(kwargs.get("load_config"), "download_kwargs", None) or {}
            place = place | kwargs | (kwargs.get("adapter_kwargs") or {})
            # After loading a base, transformers' notion of a revision is that of another repository.
            place["revision"] = getattr(place.get("revision"), "initial", place.get("revision"))
            _find(peft_model_id, ADAPTER_SAFE_WEIGHTS_NAME, **place)
        info = super().load_adapter(peft_model_id, *args, **kwargs)
        if lost := sorted(info.missing_keys | info.unexpected_keys):
            raise ValueError(
                f"{len(lost)} weights of the adapters were not loaded ({_some(lost)}): update transformers, or "
                "load the base model and then the adapters with peft.PeftModel.from_pretrained."
            )
        return info


def refuse_pickles(source: str | os.PathLike, variant: str | None = None, **place) -> None:
    """Check that the weights of a model are in safetensors, wherever its files say that they are.

    `use_safetensors=True` is not enough: an index, or `transformers_weights` of a configuration, may name any file, and
    transformers goes by its name.

    Args:
        source: folder, file or Hub id of the model.
        variant: as in `from_pretrained`.
        **place: as in `from_pretrained`: `revision`, `token` and so on; others are left aside.

    Raises:
        ValueError: if they are not; it names the file.
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
            f"{source} has weights in {_some(others)}, which is not opened, because it may run code as it is loaded: "
            "have them saved as safetensors."
        )


def _read(source: str | os.PathLike, name: str, **place) -> dict:
    try:
        file = _find(source, name, **place)
    except OSError:
        file = None
    if file is None:  # it is not there, or transformers will soon say what is wrong
        return {}
    with open(file, encoding="utf-8") as opened:
        return json.load(opened)


def _find(source: str | os.PathLike, name: str, **place) -> str | None:
    place = {argument: place[argument] for argument in PLACE if place.get(argument) is not None}
    return cached_file(source, name, **place)


def _complaint(model_class: type, missing: set[str], unexpected: list[str]) -> str:
    parts = []
    if missing:
        parts.append(f"lacks {len(missing)} weights of {model_class.__name__} ({_some(missing)})")
    if unexpected:
        parts.append(f"has {len(unexpected)} that {model_class.__name__} has no place for ({_some(unexpected)})")
    return " and ".join(parts)


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)[:3]
    return ", ".join([*shown, "..."] if len(names) > len(shown) else shown)
