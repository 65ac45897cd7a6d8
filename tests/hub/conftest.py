"""Fixtures: the folder of a model, and code in a process that cannot import emofusion."""

import shutil

import pytest
from testing_fresh import run_fresh
from testing_model_folder import make_model_folder


@pytest.fixture(scope="session")
def run_python(tmp_path_factory):
    """Run Python code in a process with its own cache of remote code, and return what it printed.

    The process starts in `cwd` and, with `without_emofusion`, fails on `import emofusion`.
    """

    def run(code: str, *arguments, cwd, without_emofusion: bool = True) -> str:
        block = "import sys; sys.modules['emofusion'] = None\n" if without_emofusion else ""
        cache = str(tmp_path_factory.mktemp("modules_cache"))
        done = run_fresh(block + code, *arguments, cwd=cwd, HF_MODULES_CACHE=cache, HF_HUB_OFFLINE="1")
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
