"""The names of a model and of its files."""

from pathlib import Path

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"


def name_model(folder: str) -> str:
    """Return the name of a model for users: that of its folder, or that on the Hub.

    Args:
        folder: The folder of the model, or its name on the Hub.
    """
    return Path(folder).resolve().name if Path(folder).is_dir() else folder
