"""Corpora of emotional speech, each a module with a `load` function, all in the one schema of `schema.py`."""

import importlib
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


# Adding a corpus is adding its name here: the module `<name>.py` holds `load(root, **options) -> DatasetDict`, and
# `about(**options)`: what a page on a model trained with it says of it (title, protocol, whether it is a demonstration,
# license, and `speaker_independent` where the protocol promises that no speaker is in two splits). A corpus of several
# folds also holds `list_folds(**options)`: for each, the options of `load` that choose it.
CORPORA = {"spoken": "demo.spoken", "iemocap": "iemocap.corpus", "meld": "meld", "folder": "folder"}


def load_corpus(name: str, root: str | Path | None = None, **options) -> "DatasetDict":
    """Load a corpus by name.

    Args:
        name: One of `CORPORA`.
        root: Folder of the corpus; what None means is the corpus's own choice.
        options: Keyword arguments of the corpus's `load`.

    Returns:
        Splits "train", "validation" and "test" with rows as `schema.features` describes them, audio not yet decoded.

    Raises:
        ValueError: If there is no such corpus or it has no such option.
    """
    load = corpus_module(name).load
    known = [option for option in inspect.signature(load).parameters if option != "root"]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ValueError(f"The corpus {name!r} has no option {unknown[0]!r}; it has {', '.join(known)}.")
    return load(root, **options)


def describe_corpus(name: str, **options) -> dict:
    """What is to be said of a corpus where results on it are shown: `name`, `title`, `protocol` and so on.

    Args:
        name: One of `CORPORA`.
        options: Those it is loaded with.

    Raises:
        ValueError: If there is no such corpus.
    """
    return {"name": name, **corpus_module(name).about(**options)}


def list_folds(name: str, **options) -> list[dict]:
    """The folds of a corpus, each as the options that choose it; one without any for a corpus with splits of its own.

    Args:
        name: One of `CORPORA`.
        options: Those it is loaded with; one that chooses a fold is passed over.

    Raises:
        ValueError: If there is no such corpus, or an option is bad.
    """
    module = corpus_module(name)
    return module.list_folds(**options) if hasattr(module, "list_folds") else [{}]


def export_folds(name: str, root: str | Path | None = None, **options) -> dict[str, dict[str, list[str]]]:
    """All folds of a corpus, `{fold: {split: ids}}`, as `folds.write_folds` writes them for others.

    Args:
        name: One of `CORPORA`.
        root: As in `load_corpus`.
        options: As in `load_corpus`.
    """
    folds = {}
    for number, choice in enumerate(list_folds(name, **options), start=1):
        corpus = load_corpus(name, root, **{**options, **choice})
        folds[str(number)] = {split: rows["id"][:] for split, rows in corpus.items()}
    return folds


def corpus_module(name: str):
    """The module of a corpus, by its name in `CORPORA`; ValueError if there is none."""
    if name not in CORPORA:
        raise ValueError(f"There is no corpus {name!r}; choose one of {', '.join(CORPORA)}.")
    return importlib.import_module(f".{CORPORA[name]}", __name__)
