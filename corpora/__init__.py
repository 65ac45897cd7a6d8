"""Corpora of emotional speech in one schema (`schema.py`), each registered by name (`registry.py`)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .registry import (
        CORPORA,
        Corpus,
        Prepared,
        describe_corpus,
        export_folds,
        get_corpus,
        list_folds,
        load_corpus,
        prepare_corpus,
    )

__all__ = [
    "CORPORA",
    "Corpus",
    "Prepared",
    "describe_corpus",
    "export_folds",
    "get_corpus",
    "list_folds",
    "load_corpus",
    "prepare_corpus",
]


def __getattr__(name: str):
    # Imported on first use: every file of this package imports the package, and the registry imports many of them.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import registry

    return getattr(registry, name)
