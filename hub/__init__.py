"""A checkpoint folder as a complete Hub repository: `write_bundle` adds its code, `write_card` its page, `push_to_hub` sends it."""

import importlib

_HOMES = {
    "push_metric": ".metric_page",
    "push_to_hub": ".push",
    "write_bundle": ".bundle",
    "write_card": ".card",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    """Import a public name on first use, because `bundle` needs transformers and `card` huggingface_hub."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
