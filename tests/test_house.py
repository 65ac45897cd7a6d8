"""Rules for the whole repository: which room may import which, what a file may hold, and how prose is written."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import emofusion
import pytest
from testing_fresh import run_fresh

ROOT = Path(emofusion.__file__).parent

# From the ground floor up. A room imports itself and rooms before it; a room that does not exist yet is skipped.
FLOORS = (
    *("configuration", "modeling", "processing", "metrics", "corpora", "evaluation", "hub", "training"),
    *("inference", "recipes", "benchmarks", "cli", "scripts"),
)
ROOMS = [room for room in FLOORS if (ROOT / room).is_dir()]
# Rooms that import less than all rooms below them: their files also work without the rest of the package.
STRICTER = {
    "processing": {"configuration"},
    "metrics": set(),
    "corpora": {"configuration", "processing"},
    "inference": {"configuration", "modeling", "processing", "metrics", "corpora", "evaluation"},
}
TRAVELLING = ("configuration", "modeling", "processing")
# What a travelling file imports outside a `try`: transformers' loader demands it on the user's machine, and
# transformers and torch bring the others.
TRAVELLING_LIBRARIES = {"torch", "transformers", "numpy", "huggingface_hub"}
LIBRARIES = {
    *("accelerate", "av", "datasets", "evaluate", "filelock", "huggingface_hub", "jinja2", "jiwer"),
    *(
        "matplotlib",
        "numpy",
        "optuna",
        "peft",
        "ray",
        "safetensors",
        "scipy",
        "sklearn",
        "soundfile",
        "soxr",
        "tensorboard",
    ),
    *("tokenizers", "torch", "tqdm", "trackio", "transformers", "yaml"),
}
# Where a sampling rate may be written as a number.
SAMPLING_RATE_FILE = "configuration/modalities.py"
# Phrases that are hard to read, American spellings of words that are no identifiers, and names that were replaced.
FORBIDDEN_PHRASES = [
    *(
        r"(?<!one )(?<!some )(?<!each )(?<!all )\bof which\b",
        r"\bwhat of\b",
        r"\b(?:is|are|was|were) told\b",
        r"\b(?:is|are) had\b",
        r"\bin vain\b",
    ),
    # The word is one of the list of TESS.
    *(
        r"\bshall\b(?! shawl\b)",
        r"\bso many\b",
        r"\bwho looks on\b",
        r"\bgets a word\b",
        r"\bwhat there is\b",
        r"\bhangs on\b",
    ),
    *(r"\bkeeps no\b", r"\bmore than noise\b", r"\bby heart\b", r"\bthe paper's:", r"\bsee there\b"),
    *(r"(?<!\.)\b(?:recogni|initiali|normali|memori)z(?:e|es|ed|er|ers|ing)\b", r"\bbehaviors?\b"),
    *(r"\bStandIns?\b", r"\bConductor\b"),
]
SECTIONS = {"Args", "Attributes", "Raises", "Fields", "Keys"}
ENTRY = re.compile(r"(?:\*{0,2}[\w.]+|`[^`]+`)(?:, (?:\*{0,2}[\w.]+|`[^`]+`))*(?: \([^)]*\))?: (\S)")


def python_files(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


SHIPPED = [*sorted(ROOT.glob("*.py")), *python_files(*ROOMS, "hub_cards")]
OURS = [*SHIPPED, *python_files("tests", "docs")]
RECIPES = sorted((ROOT / "recipes").rglob("*.yaml"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for folder in ("docs", "hub_cards", "metrics") for page in sorted((ROOT / folder).rglob("*.md"))),
]


@cache
def path(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"))


@cache
def imports(file: Path, tree: ast.AST | None = None) -> list[tuple[str, str]]:
    """(module, name) of each import in a file, relative ones written out; the name of a plain `import` is empty."""
    package = ("emofusion", *file.relative_to(ROOT).parent.parts)
    found = []
    for node in ast.walk(tree or parsed(file)):
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
    return parts[1] if parts[0] == "emofusion" and parts[1] in {*FLOORS, "tests"} else None


def imported_files(file: Path) -> set[Path]:
    """The files that an import in `file` runs: the module, and each package around it that does not hold `file` too."""
    found = set()
    for module, name in imports(file):
        parts = module.split(".")
        if parts[0] != "emofusion":
            continue
        place = ROOT.joinpath(*parts[1:])
        submodule = next(
            (p for p in (place / f"{name}.py", place / name / "__init__.py") if name and p.is_file()), None
        )
        target = submodule or next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)
        assert target, f"{path(file)} imports {module}, which is no file"
        packages = [package for package in target.parents if package.is_relative_to(ROOT)]
        around = {package / "__init__.py" for package in packages if not file.is_relative_to(package)}
        found |= {target, *(package for package in around if package.is_file())}
    return found - {file}


def find_circles(graph: dict[Path, set[Path]]) -> list[list[Path]]:
    """One circle of each strongly connected component with more than one file."""
    circles, seen = [], set()
    for start in graph:
        if start in seen:
            continue
        # Breadth first from `start`; the first file that leads back to it closes the shortest circle.
        came_from, queue = {start: None}, [start]
        for file in queue:
            if start in graph[file]:
                circle = [file]
                while came_from[circle[-1]]:
                    circle.append(came_from[circle[-1]])
                seen |= {*circle}
                circles.append([*reversed(circle), start])
                break
            for target in sorted(graph[file] - came_from.keys()):
                came_from[target] = file
                queue.append(target)
    return circles


def report(problems: list[str]) -> None:
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def test_rooms_import_only_lower_rooms():
    problems = []
    for floor, room in enumerate(ROOMS):
        allowed = STRICTER.get(room, set(ROOMS[:floor])) | {None, room}
        for file in python_files(room):
            targets = [(room_of(*found), *found) for found in imports(file)]
            problems += [f"{path(file)} imports {m} {n}" for target, m, n in targets if target not in allowed]
    report(problems)


def test_imports_have_no_circles():
    graph = {file: imported_files(file) for file in SHIPPED}
    report([" -> ".join(map(path, circle)) for circle in find_circles(graph)])


def test_circles_are_found():
    a, b, c, d = map(Path, "abcd")
    assert find_circles({a: {b}, b: {c}, c: {b, d}, d: set()}) == [[b, c, b]]
    assert find_circles({a: {b, c}, b: {d}, c: {d}, d: set()}) == []


def test_corpora_import_only_decoder_from_processing():
    problems = []
    for file in python_files("corpora"):
        for module, name in imports(file):
            decoder = module.endswith((".media", ".video")) or name in ("media", "load_audio")
            if room_of(module, name) == "processing" and not decoder:
                problems.append(f"{path(file)} imports {module} {name}")
    report(problems)


def test_scripts_are_never_imported():
    scripts = {file.stem for file in python_files("scripts")}
    problems = []
    for file in OURS:
        for module, name in imports(file):
            if room_of(module, name) == "scripts" or module.split(".")[0] in {"scripts", *scripts}:
                problems.append(f"{path(file)} imports {module} {name}")
    report(problems)


def test_only_public_names_of_libraries_are_imported():
    problems = []
    for file in SHIPPED:
        for module, name in imports(file):
            private = [part for part in [*module.split("."), name] if part.startswith("_") and part != "__version__"]
            if private and module.split(".")[0] not in ("__future__", "emofusion"):
                problems.append(f"{path(file)} imports {module} {name}")
    report(problems)


def test_files_have_at_most_400_lines():
    lengths = {file: len(file.read_text("utf-8").splitlines()) for file in OURS}
    report([f"{path(file)} has {length} lines" for file, length in lengths.items() if length > 400])


def test_files_have_docstrings():
    report([path(file) for file in SHIPPED if parsed(file).body and not ast.get_docstring(parsed(file))])


def docstrings(file: Path) -> Iterator[tuple[int, str]]:
    """(line, cleaned docstring) of a file, its classes and its functions."""
    for node in ast.walk(parsed(file)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and (docstring := ast.get_docstring(node)):
            yield node.body[0].lineno, docstring


def badly_begun_entries(docstring: str) -> list[str]:
    """Entries of the `Args:` and like sections whose description begins with a small letter."""
    found, section, margin = [], False, None
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        if line and not indent:
            section, margin = line.removesuffix(":") in SECTIONS and line.endswith(":"), None
        elif section and line.strip():
            margin = indent if margin is None else margin
            entry = ENTRY.match(line.strip()) if indent == margin else None
            if entry and entry[1].islower():
                found.append(line.strip())
    return found


def test_docstring_descriptions_begin_with_capital():
    assert badly_begun_entries("Do it.\n\nArgs:\n    a (int): the number.\n        more: yes.\n    b: The rest.") == [
        "a (int): the number."
    ]
    found = (
        (file, line, entry)
        for file in SHIPPED
        for line, text in docstrings(file)
        for entry in badly_begun_entries(text)
    )
    report([f"{path(file)}:{line}: {entry}" for file, line, entry in found])


def test_prose_uses_plain_words():
    pattern = re.compile("|".join(FORBIDDEN_PHRASES), re.IGNORECASE)
    problems = []
    for file in [*SHIPPED, *PAGES, *RECIPES]:
        prose = re.sub(r"[\s#]+", " ", file.read_text("utf-8"))
        problems += [
            f"{path(file)}: ...{prose[max(0, m.start() - 40) : m.end() + 40]}..." for m in pattern.finditer(prose)
        ]
    report(problems)


def test_messages_name_installed_commands():
    rooms = [file for file in SHIPPED if path(file).split("/")[0] != "scripts"]
    found = ((file, line) for file in rooms for line in file.read_text("utf-8").splitlines())
    report([f"{path(file)}: {line.strip()}" for file, line in found if re.search(r"scripts/\w*\.py", line)])


def test_sampling_rate_is_written_once():
    problems = []
    for file in SHIPPED:
        constants = (node for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant))
        lines = [node.lineno for node in constants if type(node.value) in (int, float) and node.value == 16000]
        problems += [f"{path(file)}:{line}" for line in lines if path(file) != SAMPLING_RATE_FILE]
    report(problems)


def test_names_do_not_shadow_libraries():
    names = {file.stem for file in OURS} | {folder.name for folder in ROOT.iterdir() if folder.is_dir()}
    assert not names & LIBRARIES


def test_every_folder_with_code_is_package():
    # That `setup.cfg` lists all packages is tested with the wheel, in `tests/packaging`.
    folders = {file.parent for file in SHIPPED if path(file).split("/")[0] != "scripts"}
    report([path(folder) for folder in folders if not (folder / "__init__.py").is_file()])


def test_travelling_files_have_unique_names():
    names = [file.name for file in python_files(*TRAVELLING) if file.name != "__init__.py"]
    assert len(names) == len(set(names))


def test_travelling_files_import_only_common_libraries():
    problems = []
    for file in python_files(*TRAVELLING):
        tree = parsed(file)
        guarded = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in ast.walk(block)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Import | ast.ImportFrom) or id(node) in guarded:
                continue
            for module, _ in imports(file, node):
                library = module.split(".")[0]
                if library == "emofusion":
                    relative = getattr(node, "level", 0) and node.module and file.parent.name in TRAVELLING
                    problems += [] if relative else [f"{path(file)}: {module} is not imported relative to the file"]
                elif library not in TRAVELLING_LIBRARIES | sys.stdlib_module_names:
                    problems.append(f"{path(file)}: {module} is imported outside a try")
    report(problems)


def test_importing_package_is_cheap():
    code = (
        "import sys, emofusion\n"
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib', 'sklearn', 'av', 'soundfile'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
        "dir(emofusion)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr


def test_auto_classes_are_registered_after_any_first_import(tmp_path):
    code = """
import emofusion, sys
exec(f"from transformers import {sys.argv[1]}")
from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification
for variant, prefix in emofusion.VARIANTS.items():
    config = getattr(emofusion, f"{prefix}Config")
    assert config in AutoModel._model_mapping and config in AutoModelForAudioClassification._model_mapping
"""
    for first in ("WhisperModel", "PreTrainedModel", "Trainer", "pipeline", "AutoProcessor", "AutoModel"):
        done = run_fresh(code, first, cwd=tmp_path)
        assert done.returncode == 0, f"not registered after the import of {first}: {done.stderr}"


def test_package_is_imported_once():
    copies = [
        name
        for name, module in sys.modules.items()
        if getattr(module, "__file__", None) == emofusion.__file__ and name != "emofusion"
    ]
    assert not copies


def test_public_names_exist_and_have_docstrings():
    for name in emofusion.__all__:
        value = getattr(emofusion, name)
        assert name in dir(emofusion), name
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name
            assert value.__module__.startswith("emofusion."), name


def test_unknown_public_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="'emofusion' has no attribute 'nothing'"):
        emofusion.nothing  # noqa: B018


def test_variants_have_files_classes_and_model_type():
    for variant, prefix in emofusion.VARIANTS.items():
        configuration = importlib.import_module(f"emofusion.configuration.configuration_{variant}")
        modeling = importlib.import_module(f"emofusion.modeling.modeling_{variant}")
        config = getattr(configuration, f"{prefix}Config")
        assert config.model_type == f"emofusion_{variant}"
        for end in ("Model", "ForSequenceClassification"):
            assert getattr(modeling, prefix + end).config_class is config
