"""Options of a call of the pipeline."""

import math
from typing import Any

from .download import TIMEOUT

# Options of each step; the steps define the defaults.
OPTIONS = {
    "preprocess": ("timeout", "allow_private_urls", "context"),
    "forward": ("transcriber_kwargs", "on_error"),
    "postprocess": ("top_k", "return_text"),
}


def check_options(top_k: int | None = None, on_error: str = "raise", timeout: float = TIMEOUT, **others: Any) -> None:
    """Check options of a call.

    Args:
        top_k: See the pipeline.
        on_error: See the pipeline.
        timeout: See the pipeline.
        **others: Options of other kinds.

    Raises:
        ValueError: If one has a wrong value.
    """
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise ValueError(f"top_k must be at least 1, or None for all emotions, not {top_k!r}.")
    if on_error not in ("raise", "return"):
        raise ValueError(f"on_error must be 'raise' or 'return', not {on_error!r}.")
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be a positive number of seconds, not {timeout!r}.")
