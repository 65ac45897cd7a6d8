"""The rules of the house: which room may import which, and what a file may be."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import emofusion
import pytest

ROOT = Path(emofusion.__file__).parent

# Room -> the rooms it may import, besides itself. An arrow only ever points down to an earlier line.
ROOMS = {
    "configuration": set(),
    "modeling": {"configuration"},
    "processing": set(),
    "corpora": {"processing"},
    "metrics": set(),
    "evaluation": {"processing", "corpora", "metrics"},
    "hub": {"configuration", "modeling", "processing", "corpora", "metrics", "evaluation"},
    "training": {"configuration", "modeling", "processing", "corpora", "metrics", "evaluation", "hub"},
    "benchmarks": {"configuration", "modeling", "processing", "corpora", "metrics", "evaluation", "hub", "training"},
}
TRAVELLING = ("configuration", "modeling", "processing")
# All that a travelling file may import without a `try`: transformers' loader demands it on the reader's machine. With
# transformers and torch come the others.
TRAVELLING_LIBRARIES = {"torch", "transformers", "numpy", "huggingface_hub"}
LIBRARIES = {
    *("accelerate", "datasets", "evaluate", "huggingface_hub", "jinja2", "matplotlib", "numpy", "peft", "safetensors"),
    *("sklearn", "soundfile", "soxr", "tokenizers", "torch", "transformers", "yaml"),
}


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


SHIPPED = [ROOT / "__init__.py", *python_files(*ROOMS, "scripts", "hub_cards", "recipes")]
OURS = [*SHIPPED, *python_files("tests")]
every_file = pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(ROOT)))
every_shipped_file = pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(ROOT)))
every_travelling_file = pytest.mark.parametrize(
    "file", python_files(*TRAVELLING), ids=lambda file: str(file.relative_to(ROOT))
)


def imports(file: Path, tree: ast.AST | None = None) -> list[tuple[str, str]]:
    """(module, name) of each import in a file, relative ones written out; the name of a plain `import` is empty."""
    package = ("emofusion", *file.relative_to(ROOT).parent.parts)
    found = []
    for node in ast.walk(tree or ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            found += [(module, alias.name) for alias in node.names]
    return found


def room_of(module: str, name: str) -> str | None:
    """The room that an import goes to; None outside the package, and for its root."""
    parts = [*module.split("."), name]
    return parts[1] if parts[0] == "emofusion" and parts[1] in {*ROOMS, "scripts", "tests"} else None


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_floors_below_it(room):
    for file in python_files(room):
        for module, name in imports(file):
            target = room_of(module, name)
            allowed = target is None or target == room or target in ROOMS[room]
            assert allowed, f"{file.relative_to(ROOT)} imports {module} {name}"


def test_the_floors_have_an_order():
    below = set()
    for room, allowed in ROOMS.items():
        assert allowed <= below
        below.add(room)


def test_corpora_take_only_the_decoder_from_processing():
    modules = {
        (module, name)
        for file in python_files("corpora")
        for module, name in imports(file)
        if room_of(module, name) == "processing"
    }
    assert all(module.endswith(".media") or name in ("media", "load_audio") for module, name in modules), modules


def test_scripts_are_imported_by_nobody():
    scripts = {file.stem for file in python_files("scripts")}
    for file in OURS:
        for module, name in imports(file):
            assert room_of(module, name) != "scripts", file
            assert module.split(".")[0] not in {"scripts", *scripts}, file


@every_shipped_file
def test_only_public_names_are_imported(file):
    for module, name in imports(file):
        if module.split(".")[0] in ("__future__", "emofusion"):
            continue
        private = [part for part in [*module.split("."), name] if part.startswith("_") and part != "__version__"]
        assert not private, f"{module} {name}"


@every_file
def test_a_file_is_short_enough_to_read(file):
    assert len(file.read_text("utf-8").splitlines()) <= 400


@every_shipped_file
def test_a_file_says_what_it_is(file):
    tree = ast.parse(file.read_text("utf-8"))
    assert not tree.body or ast.get_docstring(tree)


def test_nothing_takes_the_name_of_a_library():
    names = {file.stem for file in OURS} | {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    assert not names & LIBRARIES


def test_files_that_travel_together_have_different_names():
    names = [file.name for file in python_files(*TRAVELLING) if file.name != "__init__.py"]
    assert len(names) == len(set(names))


@every_travelling_file
def test_a_file_that_travels_imports_only_what_every_reader_has(file):
    tree = ast.parse(file.read_text("utf-8"))
    guarded = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom) or id(node) in guarded:
            continue
        for module, _ in imports(file, node):
            library = module.split(".")[0]
            ours = library == "emofusion"
            assert not ours or getattr(node, "level", 0), f"{module} is not imported relative to the file"
            assert ours or library in TRAVELLING_LIBRARIES | sys.stdlib_module_names, module


def test_importing_the_package_is_cheap():
    code = (
        "import sys, emofusion\n"
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib', 'sklearn', 'av', 'soundfile'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
        "dir(emofusion)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "first", ["WhisperModel", "PreTrainedModel", "Trainer", "pipeline", "AutoProcessor", "AutoModel"]
)
def test_whatever_of_transformers_is_imported_first_the_auto_classes_know_the_models(first):
    code = (
        f"import emofusion\nfrom transformers import {first}\n"
        "from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification\n"
        "for variant, prefix in emofusion.VARIANTS.items():\n"
        "    config = getattr(emofusion, f'{prefix}Config')\n"
        "    assert config in AutoModel._model_mapping and config in AutoModelForAudioClassification._model_mapping\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_tests_see_one_package_under_one_name():
    copies = [
        name
        for name, module in sys.modules.items()
        if getattr(module, "__file__", None) == emofusion.__file__ and name != "emofusion"
    ]
    assert not copies


@pytest.mark.parametrize("name", emofusion.__all__)
def test_a_public_name_is_there_and_says_what_it_is(name):
    value = getattr(emofusion, name)
    assert name in dir(emofusion)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        assert value.__module__.startswith("emofusion.")


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'emofusion' has no attribute 'nothing'"):
        emofusion.nothing  # noqa: B018


@pytest.mark.parametrize(("variant", "prefix"), emofusion.VARIANTS.items())
def test_a_variant_has_its_files_classes_and_model_type(variant, prefix):
    configuration = importlib.import_module(f"emofusion.configuration.configuration_{variant}")
    modeling = importlib.import_module(f"emofusion.modeling.modeling_{variant}")
    config = getattr(configuration, f"{prefix}Config")
    assert config.model_type == f"emofusion_{variant}"
    for end in ("Model", "ForSequenceClassification"):
        assert getattr(modeling, prefix + end).config_class is config
