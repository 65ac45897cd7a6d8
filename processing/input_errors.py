"""Errors of inputs: which kinds there are, and how the position of an input is added to a message."""

from ..configuration.plain_text import one_line

# Each before its more general kinds.
EXPECTED = (FileNotFoundError, OSError, ImportError, MemoryError, TypeError, ValueError, RuntimeError)
# How the RuntimeErrors of the transcriber begin.
TRANSCRIBER_FAILED = "The transcriber failed"


def with_prefix(error: Exception, prefix: str) -> Exception:
    """Return an error with a longer message of one line, to be raised from the first.

    Args:
        error: An error of one of the kinds `EXPECTED`.
        prefix: The beginning of the message, such as `inputs[3]: `.

    Returns:
        An error of one of the kinds `EXPECTED`: a subclass, such as `UnicodeEncodeError`, may need other arguments than
        a message, and could not be unpickled everywhere.
    """
    message = one_line(error) or type(error).__name__
    if isinstance(error, MemoryError):
        message = f"There is not enough memory to read the input ({message})."
    kind = next(kind for kind in EXPECTED if isinstance(error, kind))
    prefixed = kind(f"{prefix}{message}")
    prefixed.__cause__ = error
    return prefixed
