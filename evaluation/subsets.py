"""Subsets of a split that scores are broken down by."""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .prediction_records import Predictions

# column of the predictions -> value -> name of the subset
SUBSETS = {
    "scripted": {True: "scripted", False: "improvised"},
    "text_seen": {True: "text seen in training", False: "text not seen"},
}


def subset_of_corpus(corpus: str) -> str:
    """Return the name of the subset of the utterances of a corpus."""
    return f"corpus {corpus}"


def find_subsets(predictions: "Predictions") -> dict[str, np.ndarray]:
    """Return the numbers of the utterances of every subset that is not empty.

    Rows whose property is unknown are in no subset.
    """
    subsets = {}
    for column, names in SUBSETS.items():
        values = getattr(predictions, column)
        for value, name in names.items():
            rows = np.flatnonzero([known is value for known in values])
            if len(rows):
                subsets[name] = rows
    corpora = predictions.corpus or []
    for corpus in dict.fromkeys(corpora):
        if corpus is not None and set(corpora) != {corpus}:  # a corpus alone is the split
            subsets[subset_of_corpus(corpus)] = np.flatnonzero([known == corpus for known in corpora])
    return subsets
