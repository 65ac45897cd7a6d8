"""Loading of sub-processors: complete, with errors of one sentence."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from transformers import AutoFeatureExtractor, AutoTokenizer, PreTrainedTokenizerBase

# transformers 5.17 exports this class at its root only if torchvision is installed, which the class does not need.
from transformers.models.auto.image_processing_auto import AutoImageProcessor
from transformers.utils import PROCESSOR_NAME

from ..configuration.folder_checks import find_file
from ..configuration.plain_text import reason_of

# Sub-processor -> the class that loads it, in the order of the arguments of the processor.
LOADERS = {
    "feature_extractor": AutoFeatureExtractor,
    "tokenizer": AutoTokenizer,
    "image_processor": AutoImageProcessor,
}
FULL_VOCABULARY = "tokenizer.json"
LARGEST_IMAGE = 4096  # height and width in pixels that an image processor may give (ours)


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
        ValueError: If the settings are not those of a processor, or a sub-processor cannot be loaded, or fails with a
            small input.
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
        _TRIALS[name](part)
    except Exception as error:  # of many kinds, also `Exception` itself, which the tokenizers library raises
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(f"{source}: the {name} cannot be used: {reason_of(error)}.") from error
    if name == "tokenizer":
        _check_vocabulary(part, source, **kwargs)
    return part


def _try_extractor(extractor: Any) -> None:
    extractor([np.zeros(800, np.float32)], sampling_rate=extractor.sampling_rate, padding=True, return_tensors="np")


def _try_tokenizer(tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer(["a", "b a"], padding=True, truncation=True, return_tensors="np")


def _try_image_processor(processor: Any) -> None:
    for size in (getattr(processor, "size", None) or {}, getattr(processor, "crop_size", None) or {}):
        sides = [side for side in dict(size).values() if side is not None]
        if any(not 0 < side <= LARGEST_IMAGE for side in sides):
            raise ValueError(f"the images would have {size} pixels, and {LARGEST_IMAGE} are the most")
    processor([np.zeros((8, 8, 3), np.uint8)], input_data_format="channels_last", return_tensors="np")


# Sub-processor -> a trial with a small input: wrong settings then fail here, and not in the middle of a list.
_TRIALS = {
    "feature_extractor": _try_extractor,
    "tokenizer": _try_tokenizer,
    "image_processor": _try_image_processor,
}


def _check_vocabulary(tokenizer: PreTrainedTokenizerBase, source: str | os.PathLike, **kwargs) -> None:
    """Check that the vocabulary was read from files; without them, transformers makes one up.

    Raises:
        OSError: If the files are missing.
        ValueError: If a special token is not in them; transformers would add it with an id that the model never saw.
    """
    others = {name for name in type(tokenizer).vocab_files_names.values() if name != FULL_VOCABULARY}
    file = find_file(source, FULL_VOCABULARY, **kwargs)
    if file is None and not all(find_file(source, name, **kwargs) for name in others):
        raise OSError(
            f"{source} has no {FULL_VOCABULARY}, the vocabulary of its tokenizer: copy the file there, or save the "
            "processor again."
        )
    if file is not None:
        text = Path(file).read_text(encoding="utf-8")
        for token in tokenizer.all_special_tokens:
            if json.dumps(token, ensure_ascii=False) not in text and json.dumps(token) not in text:
                raise ValueError(
                    f"{source}: the special token {token!r} is not in {FULL_VOCABULARY}: save the processor again."
                )
