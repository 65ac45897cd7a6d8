"""Options of a call of the pipeline."""

import math
from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig

from ..configuration.value_checks import is_number
from .download import TIMEOUT

MOST_ROWS = 64  # in a batch that `batch_seconds` limits (ours)
# Options that cut recordings.
WINDOWS = ("window_seconds", "hop_seconds", "segments", "vad")
# Options of each step; the steps define the defaults.
OPTIONS = {
    "preprocess": ("timeout", "allow_private_urls", "context", "batch_seconds", "stream_rows", *WINDOWS),
    "forward": ("transcriber_kwargs", "on_error"),
    "postprocess": ("top_k", "return_text"),
}


def sort_options(options: Mapping[str, Any], config: PreTrainedConfig) -> tuple[dict[str, Any], ...]:
    """Return the options of each step, after a check.

    Args:
        options: Options of a call.
        config: The configuration of the model.

    Raises:
        TypeError: If one is unknown.
        ValueError: If one has a wrong value, or the model has no use for it.
    """
    known = [name for names in OPTIONS.values() for name in names]
    for name in options:
        if name not in known:
            raise TypeError(f"emotion-recognition has no option {name!r}; it has {', '.join(known)}.")
    _check_options(**options)
    if options.get("top_k") is not None and config.is_regression:
        raise ValueError(
            f"top_k is for classes, and this model predicts {', '.join(config.dimensions)}, which are all returned: leave it "
            "out."
        )
    return tuple({name: options[name] for name in names if name in options} for names in OPTIONS.values())


def _check_options(
    top_k: int | None = None,
    on_error: str = "raise",
    timeout: float = TIMEOUT,
    batch_seconds: float | None = None,
    **others: Any,
) -> None:
    """Check options of a call; raise a ValueError if one has a wrong value."""
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"top_k must be at least 1, or None for all emotions, not {top_k!r}.")
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error must be 'raise' or 'return', not {on_error!r}.")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}.")
    if batch_seconds is not None and not (is_number(batch_seconds) and batch_seconds > 0):
        raise ValueError(f"batch_seconds must be a positive number of seconds, not {batch_seconds!r}.")


def reading_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options of the first step that read an utterance.

    Args:
        options: Options of the first step.
    """
    return {name: value for name, value in options.items() if name not in ("batch_seconds", "stream_rows", *WINDOWS)}


def check_stream_rows(options: Mapping[str, Any], has_rows: bool) -> None:
    """Raise a ValueError if `stream_rows` is given for answers that have no rows, or for one recording.

    Args:
        options: Options of a call.
        has_rows: Whether the answers of the call are rows of several recordings.
    """
    if options.get("stream_rows") and not has_rows:
        raise ValueError(
            "stream_rows is for a list, a generator or a dataset of recordings that are cut: leave it out."
        )
