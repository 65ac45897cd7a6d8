"""Start commands in other processes."""

import os
import subprocess
import sys
from pathlib import Path

from testing_fresh import run_fresh


def start(*command, cwd, **environment):
    """Run a program in another process."""
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "HF_MODULES_CACHE": str(cwd / "modules"),
        **environment,
    }
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=250
    )


def start_command(*arguments, cwd, **environment):
    """Run a command of emofusion in another process."""
    return start(sys.executable, "-m", "emofusion", *arguments, cwd=cwd, **environment)


def run_script(script, *arguments, cwd, **environment):
    """Run a Python file in a fresh process, which costs less than another interpreter."""
    code = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    environment = {"HF_HUB_OFFLINE": "1", "HF_MODULES_CACHE": str(Path(cwd) / "modules"), **environment}
    return run_fresh(code, script, *arguments, cwd=cwd, **environment)
