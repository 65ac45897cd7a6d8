"""Rows of recordings over time, as the pipeline gives them."""

SCALE = [1.0, 5.0]


def make_row(start, end, scores=None, dimensions=None, **more):
    """Return a row with probabilities by class and values by dimension; those of dimensions alone are its `scores`."""
    classes = [{"label": label, "score": score} for label, score in (scores or {}).items()]
    rated = [{"label": label, "score": value, "scale": SCALE} for label, value in (dimensions or {}).items()]
    row = {"start": start, "end": end, "scores": sorted(classes, key=lambda entry: -entry["score"]) or rated, **more}
    return row | ({"dimensions": rated} if classes and rated else {})


def happy(start, end, share, **more):
    """Return a row of two classes."""
    return make_row(start, end, {"happy": share, "sad": 1 - share}, **more)
