"""The wheel, built from a copy of the repository and installed without it, works as a user's installation does."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import emofusion
import numpy as np
import pytest
import soundfile
from testing_folder import make_folder
from testing_fresh import run_fresh
from testing_training import tiny_recipe

ROOT = Path(emofusion.__file__).parent
NOT_COPIED = (".*", "tests", "docs", "runs", "build", "dist", "*.egg-info", "__pycache__")

# A command of an installed wheel, in a process that has the libraries: the finder of an editable installation stays out.
TRAIN = """
import sys
packages = sys.argv.pop(1)
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
sys.path.insert(0, packages)
import emofusion
assert emofusion.__file__.startswith(packages), emofusion.__file__
from emofusion.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "copy", ignore=shutil.ignore_patterns(*NOT_COPIED))
    code = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    done = start(sys.executable, "-W", "ignore", "-c", code, place, cwd=place / "copy")
    assert done.returncode == 0, done.stderr[-3000:]
    (path,) = place.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory):
    """Programs of an environment with the wheel and the libraries of the base installation alone."""
    place, libraries = tmp_path_factory.mktemp("base"), tmp_path_factory.mktemp("libraries")
    for name in base_distributions(wheel):
        for file in metadata.files(name):
            top = Path(file).parts[0]
            if top not in ("..", "__pycache__") and not (libraries / top).exists():
                (libraries / top).symlink_to(metadata.distribution(name).locate_file(top))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    pip = (sys.executable, "-m", "pip", "--python", place / "bin" / "python")
    options = ("--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--quiet")
    subprocess.run([*pip, "install", *options, wheel], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # A path, not an import: the finder of an editable installation stays out.
    (packages / "libraries.pth").write_text(f"{libraries}\n")
    return place / "bin"


def read_metadata(wheel):
    """The metadata of the wheel."""
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    return archive.read(name).decode()


def base_distributions(wheel):
    """Names of the distributions that installing the wheel without an extra installs besides it."""
    found, waiting = set(), re.findall(r"^Requires-Dist: (.+)$", read_metadata(wheel), re.MULTILINE)
    while waiting:
        requirement = waiting.pop()
        name = re.match(r"[\w.-]+", requirement).group().lower().replace("_", "-")
        if "extra ==" in requirement or name in found:
            continue
        try:
            waiting += metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform
            continue
        found.add(name)
    return found


def start(*command, cwd, **environment):
    """Run a program as if from a shell whose environment names no library."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    kept |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=kept, capture_output=True, text=True, timeout=250
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with a corpus, a recipe and a recording."""
    place = tmp_path_factory.mktemp("working")
    make_folder(place / "corpus")
    recipe = tiny_recipe("corpus", "trained", corpus="folder", num_train_epochs=1)
    recipe |= {"corpus_options": {"labels": ["sad", "glad"]}}
    (place / "recipe.yaml").write_text(json.dumps(recipe))  # JSON is YAML
    soundfile.write(place / "recording.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)
    return place


def test_every_folder_with_code_and_its_data_are_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    left_out = {ROOT / "scripts", ROOT / "tests", ROOT / "docs"}
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        if path.suffix not in (".py", ".jinja", ".md", ".yaml", ".typed") or any(
            part.startswith(".") for part in parts
        ):
            continue
        inside = (path.parent / "__init__.py").is_file() or "recipes" in parts
        if inside and not left_out & {*path.parents} and (len(parts) > 1 or path.suffix in (".py", ".typed")):
            assert Path("emofusion", *parts).as_posix() in names
    assert not [name for name in names if name.startswith(("emofusion/tests", "emofusion/scripts"))]


def test_the_metadata_names_the_repository_and_the_authors(wheel):
    text = read_metadata(wheel)
    for line in ("Author: The emofusion authors", "Project-URL: Issues, https://", "License: Apache-2.0"):
        assert f"\n{line}" in text


def test_help_is_printed(base, place):
    done = start(base / "emofusion", "--help", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: emofusion COMMAND")


def test_a_model_is_trained_and_predicts_with_the_base_libraries(base, place):
    (packages,) = base.parent.glob("lib/python*/site-packages")
    done = run_fresh(TRAIN, packages, "train", "recipe.yaml", cwd=place, HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads((place / "trained" / "results.json").read_text())["labels"] == ["sad", "glad"]
    command = ("predict", "trained", "recording.wav", "--text", "I will be there")
    done = start(base / "emofusion", *command, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    shares = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert set(shares) == {"sad", "glad"}
    assert sum(shares.values()) == pytest.approx(100, abs=0.3)


def test_a_command_names_the_extra_that_it_needs(base, place):
    extras = {"train recipe.yaml": "train", "search recipe.yaml": "search", "demo": "demo", "demo-app trained": "app"}
    code = (
        "import sys; from emofusion.cli.main import main; print([main(command.split()) for command in sys.argv[1:]])"
    )
    done = start(base / "python", "-c", code, *extras, cwd=place)
    assert done.stdout == f"{[1] * len(extras)}\n", done.stderr[-3000:]
    sentences = [
        rf"emofusion {command.split()[0]}: [\w-]+ is not installed; install it with: pip install 'emofusion\[{extra}\]'\n"
        for command, extra in extras.items()
    ]
    assert re.fullmatch("".join(sentences), done.stderr), done.stderr
