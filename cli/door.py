"""Print every failure of a command as one sentence."""

import errno
import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

from .. import __version__, explain_missing_module
from ..configuration.plain_text import one_line
from .commands import IncompleteError, UsageError
from .output import prepare_output, warnings_in_one_line

PACKAGE = Path(__file__).resolve().parent.parent
# Failures that are printed as they are: their messages name a file, a row or an argument.
EXPECTED = (ImportError, OSError, ValueError)
# Failures of libraries, by module and class, whose library a command need not import, and what precedes their message.
NETWORK = {"HTTPError": "The network failed: ", "InvalidURL": "An address is invalid: "}
DAMAGED = {"SafetensorError": "A safetensors file is damaged: "}
OF_LIBRARIES = {
    "huggingface_hub": {"StrictDataclassError": "A configuration is invalid: ", "HfHubHTTPError": ""},
    "httpx": NETWORK,
    "httpx2": NETWORK,
    "jinja2": {"TemplateError": "A template is invalid: "},
    "optuna": {"OptunaError": ""},
    "pyarrow": {"ArrowException": "A table cannot be read: "},
    "safetensors": DAMAGED,
    "safetensors_rust": DAMAGED,
    "sqlalchemy": {"SQLAlchemyError": "The database of a search cannot be used: "},
    "yaml": {"YAMLError": "A YAML text cannot be read: "},
}
# Messages of torch, transformers and datasets, which raise RuntimeErrors for bad files and too small machines.
OF_RUNTIME = {
    r"loading (a )?state_dict|size mismatch|ignore_mismatched_sizes|PytorchStreamReader": "Weights do not fit the model: ",
    r"out of memory|can't allocate memory|not enough memory|failed to allocate": (
        "The memory is exhausted; use smaller batches or shorter recordings: "
    ),
    r"DataLoader worker .* (is killed|exited)": "A process that loads recordings was ended: ",
    r"NCCL|ProcessGroup|Connection (reset|closed) by peer": "The connection between the processes failed: ",
}
# Errors of the system about a file.
OF_SYSTEM = {
    errno.EACCES: "may not be read or written here",
    errno.EEXIST: "exists, and is not a folder",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "is not in a folder, or is not a folder",
    errno.EPERM: "may not be changed here",
    errno.EROFS: "is on a disk that cannot be written to",
}
# Prefixes of the messages of libraries, without information for users.
NOISE = re.compile(r"\[(Errno|WinError) -?\d+\] |\b[A-Z]\w*(Error|Exception): ")
LONGEST = 1500  # characters of a sentence; libraries may list thousands of names


def guarded(program: str, action: Callable[[], object], show_traceback: bool = False) -> int:
    """Run a command; print its failure as one sentence on the error stream.

    The traceback of an unexpected failure, which is a defect of emofusion, is saved to a file that the sentence names.

    Args:
        program: Name of the command, with which the sentence begins.
        action: The command.
        show_traceback: Whether to raise failures instead.

    Returns:
        The exit status: 0, 1 if the command failed, 2 if its arguments are wrong, 3 if some rows of its table are errors,
        130 if it was interrupted.
    """
    prepare_output()
    try:
        with warnings_in_one_line(program):
            action()
        print(end="", flush=True)  # unlike sys.stdout.flush(), also if standard output is closed
    except UsageError as error:
        return _fail(program, str(error), 2)
    except IncompleteError as error:
        return _fail(program, str(error), 3)
    except KeyboardInterrupt:
        return _fail(program, "Interrupted.", 130)
    except BrokenPipeError:  # the reader has closed the pipe, as in `emofusion train --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if show_traceback:
            raise
        explanation = NOISE.sub("", explain(error))
        return _fail(program, explanation or report_defect(program, error), 1)
    return 0


def explain(error: BaseException) -> str:
    """Return a failure as a sentence for a user; empty if it is a defect of emofusion.

    Args:
        error: Any exception.
    """
    message = str(error).strip()
    if isinstance(error, ImportError) and "cannot import name" in message:
        return ""
    if explanation := explain_missing_module(error):
        return explanation
    if missing := re.search(r"The '([^']+)' distribution was not found", message):
        return f"{missing[1]} is not installed."
    if isinstance(error, MemoryError):
        return "The memory is exhausted; use smaller batches or shorter recordings."
    if isinstance(error, RecursionError):
        return "An input is nested too deeply."
    if isinstance(error, UnicodeError):
        return f"A text is not in the expected encoding: {message}."
    if isinstance(error, json.JSONDecodeError):
        return f"A JSON text cannot be read: {message}."
    if isinstance(error, OSError):
        return _explain_os_error(error)
    for kind in type(error).__mro__:
        prefix = OF_LIBRARIES.get(kind.__module__.partition(".")[0], {}).get(kind.__name__)
        if prefix is not None and message:
            return f"{prefix}{message}"
    if isinstance(error, RuntimeError):
        for pattern, prefix in OF_RUNTIME.items():
            if re.search(pattern, message, re.IGNORECASE):
                return f"{prefix}{message}"
    return message if isinstance(error, EXPECTED) or is_deliberate(error) else ""


def is_deliberate(error: BaseException) -> bool:
    """Return whether a `raise` of emofusion raised an error; it is then no defect."""
    if not isinstance(error, (RuntimeError, TypeError)):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).is_relative_to(PACKAGE) and frames[-1].line.startswith("raise ")


def _explain_os_error(error: OSError) -> str:
    """Return the message of an OSError, for one of the system such as: x is not a folder."""
    if error.strerror is None or error.errno is None:
        return str(error).strip()
    files = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, Path))]
    if not files:
        return f"{error.strerror}."
    what = OF_SYSTEM.get(error.errno)
    return f"{files[-1]} {what}." if what else f"{' and '.join(files)}: {error.strerror}."


def report_defect(program: str, error: BaseException) -> str:
    """Save the traceback of a defect, and return a sentence that names the file.

    Args:
        program: Name of the command.
        error: The exception.
    """
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", errors="backslashreplace", prefix="emofusion-", suffix=".txt", delete=False
        ) as file:
            # Without the arguments, which may hold a token.
            file.write(f"{program}, version {__version__}, Python {sys.version.split()[0]}\n\n{text}")
    except OSError:  # no space for a file: print the traceback instead
        sys.stderr.write(text)
        place = "above"
    else:
        place = f"in {file.name}"
    reason = " ".join([type(error).__name__, str(error)]).strip()
    return f"This is a defect of emofusion ({reason}); please report it with the traceback {place}."


def _fail(program: str, message: str, status: int) -> int:
    """Print a message of any number of lines as one line on the error stream."""
    print(f"{program}: {one_line(message, LONGEST)}", file=sys.stderr)
    return status
