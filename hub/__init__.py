"""A checkpoint folder as a complete Hub repository: `write_bundle` adds its code, `write_card` its page, `push_to_hub` sends it."""

from ..configuration.lazy_names import import_on_use

# `bundle` needs transformers, and `card` huggingface_hub.
_HOMES = {
    "push_metric": "metric_page",
    "push_to_hub": "push",
    "write_bundle": "bundle",
    "write_card": "card",
}

__all__ = sorted(_HOMES)

__getattr__ = import_on_use(__name__, _HOMES)
