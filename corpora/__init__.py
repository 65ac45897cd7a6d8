"""Corpora of emotional speech in one schema (`schema.py`), each registered by name (`registry.py`)."""

from typing import TYPE_CHECKING

from ..configuration.lazy_names import import_on_use

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

# Imported on first use: every file of this package imports the package, and the registry imports many of them.
__getattr__ = import_on_use(__name__, dict.fromkeys(__all__, "registry"))
