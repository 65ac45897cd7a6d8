"""Code in a process that has imported nothing of emofusion, transformers or the Hub, for a fraction of a new interpreter.

A server imports torch and the libraries below it once, and forks a process for each piece of code. What reads the
environment when it is imported, as the Hub's client and transformers do, is imported by the code itself.
"""

import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

# What transformers imports besides its own modules takes most of the time of its import.
LIBRARIES = [
    "torch._dynamo.aot_compile",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
    "torch.export",
    "numpy.f2py",
    "scipy.optimize",
    "av",
    "soundfile",
    "testing_fresh",
]
# Folders of remote code, whose parents are on the path.
CACHES = ("transformers_modules", "evaluate_modules", "datasets_modules")


def fresh_context() -> multiprocessing.context.BaseContext:
    """Return the context of processes that the server forks; the target of a process is a function of a module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


def call_fresh(function: Callable, *arguments) -> Any:
    """Call a function of a module in such a process, which may start others; return its result, or raise its error."""
    with ProcessPoolExecutor(max_workers=1, mp_context=fresh_context()) as pool:
        return pool.submit(function, *arguments).result()


def run_fresh(code: str, *arguments, cwd, limit: float = 120, **environment) -> SimpleNamespace:
    """Run Python code as `python -c` does; return its `returncode`, `stdout` and `stderr`.

    Args:
        code: The code, with its arguments in `sys.argv[1:]`.
        arguments: The arguments, which become text.
        cwd: The folder in which the code runs, and in which its output is kept.
        limit: The seconds after which the process is killed.
        environment: Variables of the environment besides those of this process; None removes one.
    """
    variables = {name: value for name, value in (os.environ | environment).items() if value is not None}
    outputs = [Path(cwd) / f".{name}" for name in ("stdout", "stderr")]
    process = fresh_context().Process(
        target=_execute, args=(code, [str(argument) for argument in arguments], str(cwd), variables, outputs)
    )
    process.start()
    process.join(limit)
    if process.is_alive():
        process.kill()
        process.join()
    stdout, stderr = (output.read_text(encoding="utf-8") for output in outputs)
    for output in outputs:
        output.unlink()
    return SimpleNamespace(returncode=process.exitcode, stdout=stdout, stderr=stderr)


def _execute(code: str, arguments: list[str], cwd: str, environment: dict[str, str], outputs: list[Path]) -> None:
    for number, output in enumerate(outputs, start=1):
        with open(output, "wb") as file:
            os.dup2(file.fileno(), number)
    torch.set_num_threads(1)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    loaded = {"emofusion", "transformers", "huggingface_hub", "datasets"} & set(sys.modules)
    assert not loaded, f"A fresh process has no {loaded}."
    # Remote code is found in the first cache of the path, which is that of the tests if these have loaded some.
    path = [folder for folder in sys.path if not any(Path(folder, name).exists() for name in CACHES)]
    sys.argv, sys.path = ["-c", *arguments], ["", *path]
    try:
        exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})
    except Exception:
        traceback.print_exc()
        sys.exit(1)
