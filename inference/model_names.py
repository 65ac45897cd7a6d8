"""The names of a model, of its files and of its dtype."""

from pathlib import Path
from typing import Any

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"


def name_model(folder: str) -> str:
    """Return the name of a model for users: that of its folder, or that on the Hub.

    Args:
        folder: The folder of the model, or its name on the Hub.
    """
    return Path(folder).resolve().name if Path(folder).is_dir() else folder


def name_dtype(recognise: Any) -> str:
    """Return the dtype in which a pipeline runs its model, such as `bfloat16`.

    Args:
        recognise: The pipeline.
    """
    return str(recognise.model.dtype).removeprefix("torch.")
