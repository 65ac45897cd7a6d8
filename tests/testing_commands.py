"""Start commands in other processes."""

import os
import subprocess
import sys


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
