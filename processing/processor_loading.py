"""Loading of sub-processors: complete, with errors of one sentence."""

import os
from collections.abc import Mapping
from typing import Any

from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedTokenizerBase

# transformers 5.17 exports this class at its root only if torchvision is installed, which the class does not need.
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.utils import PROCESSOR_NAME, cached_file

# Sub-processor -> the class that loads it, in the order of the arguments of the processor.
LOADERS = {
    "feature_extractor": AutoFeatureExtractor,
    "tokenizer": AutoTokenizer,
    "image_processor": AutoImageProcessor,
}
# Arguments of `from_pretrained` that locate files.
LOCATION_ARGUMENTS = (
    *("revision", "token", "cache_dir", "local_files_only", "force_download", "proxies"),
    "subfolder",
)
FULL_VOCABULARY = "tokenizer.json"


def load_parts(source: str | os.PathLike, settings: Mapping[str, Any], **kwargs) -> list[Any]:
    """Load the sub-processors that the settings of a processor name, None for the others.

    Args:
        source: A Hub id or folder.
        settings: The content of `processor_config.json`.
        **kwargs: As in `from_pretrained`.

    Returns:
        The sub-processors in the order of `LOADERS`.

    Raises:
        OSError: If a file cannot be found.
        ValueError: If the settings are not those of a processor, or a sub-processor cannot be loaded.
    """
    if not settings:
        raise OSError(f"{source} has no {PROCESSOR_NAME}: save the processor of the model there.")
    parts = []
    for name, loader in LOADERS.items():
        # The tokenizer has files of its own; the others are a part of the settings.
        value = settings.get(name, {} if name == "tokenizer" else "nothing")
        if not isinstance(value, Mapping | None):
            raise ValueError(f"{source}: {name} in {PROCESSOR_NAME} must be a mapping or null, not {value!r}.")
        parts.append(None if value is None else _load(loader, name, source, **kwargs))
    return parts


def _load(loader: type, name: str, source: str | os.PathLike, **kwargs) -> Any:
    try:
        part = loader.from_pretrained(source, **kwargs)
    except Exception as error:  # of many kinds, also `Exception` itself, which the tokenizers library raises
        reason = " ".join(str(error).split()) or type(error).__name__
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{source}: the {name} cannot be loaded: {reason}") from error
    if name == "tokenizer":
        place = {argument: kwargs[argument] for argument in LOCATION_ARGUMENTS if kwargs.get(argument) is not None}
        _check_vocabulary(part, source, place)
    return part


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, source: str | os.PathLike, place: dict[str, Any]) -> None:
    """Check that the vocabulary was read from files; without them, transformers makes one up.

    Raises:
        OSError: If the files are missing.
    """
    others = {name for name in type(tokenizer).vocab_files_names.values() if name != FULL_VOCABULARY}
    if not _exists(source, FULL_VOCABULARY, place) and not all(_exists(source, name, place) for name in others):
        raise OSError(
            f"{source} has no {FULL_VOCABULARY}, the vocabulary of its tokenizer: copy the file there, or save the "
            "processor again."
        )


def _exists(source: str | os.PathLike, name: str, place: dict[str, Any]) -> bool:
    try:
        return cached_file(source, name, **place) is not None
    except OSError:
        return False
