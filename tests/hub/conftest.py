"""Fixtures: the folder of a model, and code in a process that cannot import emofusion."""

import os
import shutil
import subprocess
import sys

import pytest
from testing_model_folder import make_model_folder


@pytest.fixture(scope="session")
def run_python(tmp_path_factory):
    """Run Python code in a process with its own cache of remote code, and return what it printed.

    The process starts in `cwd` and, with `without_emofusion`, fails on `import emofusion`.
    """

    def run(code: str, *arguments, cwd, without_emofusion: bool = True) -> str:
        block = "import sys; sys.modules['emofusion'] = None\n" if without_emofusion else ""
        environment = os.environ | {
            "HF_MODULES_CACHE": str(tmp_path_factory.mktemp("modules_cache")),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [sys.executable, "-c", block + code, *map(str, arguments)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The complete folder of a model."""
    folder = tmp_path_factory.mktemp("runs") / "cross_attention"
    make_model_folder(folder)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of it, for one test."""
    return shutil.copytree(made, tmp_path / "runs" / "cross_attention")
