"""Calls a function in a process of its own, so that nothing measured before it changes its speed or its memory."""

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .measuring import peak_memory


def run_in_subprocess(function: Callable, **arguments: Any) -> tuple[Any, float]:
    """Call a function in a new process.

    Args:
        function: Of a module, under its own name.
        arguments: What it is called with, which JSON can say.

    Returns:
        Its result, gone through JSON, and the most memory that the process held, in MB.

    Raises:
        RuntimeError: If it fails; what it said before is on the standard error stream.
    """
    # Without -P the working folder would be searched first, in which any file may have the name of a library.
    command = [sys.executable, "-P", "-m", __name__, function.__module__, function.__name__, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{function.__module__}.{function.__name__} failed with code {done.returncode}, see above.")
    result, memory = json.loads(done.stdout)
    return result, memory


def main() -> None:
    """The other side of `run_in_subprocess`."""
    module, name, arguments = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):  # the standard output is for the result alone
        result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps([result, peak_memory()]))


if __name__ == "__main__":
    main()
