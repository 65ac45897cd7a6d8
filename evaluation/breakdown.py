"""Scores on parts of a split: words that were read or improvised, and words that training knows or not."""

import numpy as np

from .predictions import Predictions
from .statistics import confusion_scores, group_confusions

# column of the predictions -> the names of its parts
PARTS = {
    "scripted": {True: "scripted", False: "improvised"},
    "text_seen": {True: "text seen in training", False: "text not seen"},
}


def break_down(predictions: Predictions) -> dict[str, dict]:
    """WA, UA and weighted F1 on every part of which there are rows.

    Args:
        predictions: on a split, or pooled.

    Returns:
        Per part its `utterances`, how many `classes` occur in it (UA is their mean recall), and the scores. Rows of
        which a thing is not known are in neither part.
    """
    parts = {}
    for column, names in PARTS.items():
        values = getattr(predictions, column)
        for value, name in names.items():
            rows = np.flatnonzero([known is value for known in values])
            if not len(rows):
                continue
            shares = np.eye(predictions.logits.shape[1])[predictions.answers[rows]]
            confusion = group_confusions(predictions.labels[rows], shares, ["part"] * len(rows))[0]
            parts[name] = {
                "utterances": len(rows),
                "classes": int((confusion.sum(axis=1) > 0).sum()),
                **{score: float(value) for score, value in confusion_scores(confusion).items()},
            }
    return parts
