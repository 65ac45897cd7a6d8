"""Public names of a room that are imported on first use."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def import_on_use(room: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a room.

    Args:
        room: Name of the package.
        homes: Public name -> the module of the room that defines it.
    """

    def import_name(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f".{homes[name]}", room), name)

    return import_name
