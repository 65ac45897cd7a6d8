"""Run a function in its own process, so that earlier measurements change neither its speed nor its memory."""

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .measuring import peak_memory


def run_in_subprocess(function: Callable, **arguments: Any) -> tuple[Any, float]:
    """Run a function in a new process.

    Args:
        function: A function at the top level of a module.
        arguments: Its arguments, which must be JSON.

    Returns:
        Its result, converted to JSON and back, and the peak memory of the process in MB.

    Raises:
        RuntimeError: If it fails; its traceback is on the standard error stream.
    """
    # Without -P, Python would first look for libraries in the working folder.
    command = [sys.executable, "-P", "-m", __name__, function.__module__, function.__name__, json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{function.__module__}.{function.__name__} failed with code {done.returncode}, see above.")
    result, memory = json.loads(done.stdout)
    return result, memory


def main() -> None:
    """Run the function that the command line names, and print its result as JSON."""
    module, name, arguments = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):  # standard output carries only the result
        result = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps([result, peak_memory()]))


if __name__ == "__main__":
    main()
