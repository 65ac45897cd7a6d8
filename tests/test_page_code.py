"""Every fenced block of the README and the pages is run, or parsed by the code that reads such text.

A new block is picked up by itself. Python runs, in the order of the page and in one namespace, in a folder with small
stand-ins for the paths that pages name (`testing_workplace.py`). Commands of `RUN` and `RUN_ON` run too, in the same place; all
commands are parsed in `test_readme.py`. A block is a file if the paragraph before it ends with the name of the file and a
colon: it is written there and read as such. A block of YAML without a name is a part of a recipe.
"""

import json
import os
import shutil

import pytest
from emofusion.cli.main import main
from emofusion.cli.recipe_help import RECIPE_COMMANDS
from emofusion.corpora.corpus_files import read_csv
from emofusion.corpora.folds import read_folds
from emofusion.inference.manifests import read_manifest
from emofusion.inference.rttm import read_rttm
from emofusion.training.recipe import COMMANDS, Recipe
from testing_pages import PAGES, Block, blocks, commands_in, emofusion_arguments, page_name
from testing_workplace import build_workplace, replace_borders, write_tone

# Commands that run on every page, and others that run on some pages. The rest takes minutes, or other corpora.
RUN = {"predict", "explain"}
RUN_ON = {
    "docs/corpora.md": {"prepare"},
    "docs/hub.md": {"push"},
    "docs/iemocap.md": {"prepare"},
    "docs/meld.md": {"prepare"},
    "docs/own_data.md": {"prepare", "train", "cross-validate", "compare", "push"},
    "docs/publish.md": {"push"},
    "docs/start.md": {"push"},
}
# A part of a command -> why it does not run.
NOT_RUN = {
    "--engine ray": "Ray is an extra that the tests of inference/ray_engine.py start",
    "runs/spoken/wavfusion_quadrants": "a model of video that is trained for minutes; the other commands of explain run",
    "--word-times": "a recogniser with times of words, see tests/processing/test_transcriber.py",
    "--multi_gpu": "the same command as above it on the page, whose table is then finished",
    "--base-model": "adapters are pushed in tests/hub/test_push_adapters.py",
}
# A part of a block of Python -> the test that runs it.
RUN_ELSEWHERE = {
    "onnxruntime.InferenceSession": "tests/inference/test_export.py, on an exported model",
    "http://127.0.0.1:8000": "tests/inference/test_serving.py, on a server",
    "emofusion import Recipe, train": "tests/training/test_recipes.py trains this recipe",
}
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # httpx, of the client of the Hub
]
# A few steps in place of a training, on one process.
SHORT = {"max_steps": "2", "dataloader_num_workers": "0", "use_cpu": "true", "disable_tqdm": "true", "bf16": "false"}


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory):
    return build_workplace(tmp_path_factory.mktemp("workplace"))


@pytest.fixture
def workplace(stand_ins, tmp_path, monkeypatch, hub):
    """A copy of the stand-ins for one page."""
    replace_borders(monkeypatch, hub)
    folder = shutil.copytree(stand_ins, tmp_path / "work", copy_function=os.link)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    return folder


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_blocks_of_page_run(page, workplace, capsys):
    names = {"__name__": page_name(page)}
    for block in blocks(page):  # a command may stand before the file that it reads
        if block.file:
            (workplace / block.file).parent.mkdir(parents=True, exist_ok=True)
            (workplace / block.file).write_text(block.code)
            read_file(workplace / block.file)
    for block in blocks(page):
        here = f"{page_name(page)}, line {block.line}"
        match block.language:
            case "python":
                if not any(part in block.code for part in RUN_ELSEWHERE):
                    code = "\n" * (block.line - 1) + block.code.replace('"/data/', f'"{workplace}/data/')
                    exec(compile(code, str(page), "exec"), names)
            case "bash":
                for command in commands_in(block.code):
                    run_command(command, RUN | RUN_ON.get(page_name(page), set()), workplace, capsys)
            case "text" | "yaml" | "json" if block.file:
                pass  # read above
            case "json":
                json.loads(block.code)
            case "yaml":
                read_recipe_part(block, workplace)
            case "text":
                pass  # output, or a tree of files
            case other:
                pytest.fail(f"{here}: a block of {other or 'no language'}; see the top of this file")


def run_command(command: list[str], run: set[str], workplace, capsys) -> None:
    """Run a command in this process if it is one of `run`, and check its exit status."""
    arguments = emofusion_arguments(command)
    if not arguments or arguments[0] not in run or any(part in " ".join(command) for part in NOT_RUN):
        return
    arguments = [f"{workplace}{word}" if word.startswith("/data/") else word for word in arguments]
    if arguments[0] in RECIPE_COMMANDS:
        given = {word.removeprefix("--") for word in arguments}
        arguments += [word for name, value in SHORT.items() if name not in given for word in (f"--{name}", value)]
        arguments += ["--folds", "1"] if arguments[0] == "cross-validate" else []
    status = main(arguments)
    assert status == 0, f"{' '.join(command)}: {capsys.readouterr().err}"


def read_file(path) -> None:
    """Read a file as the command does that a page gives it to, and write the recordings that it names."""
    match path.suffix, path.name:
        case ".yaml", _:
            Recipe.read(path, use_cpu=True)
        case ".rttm", _:
            assert read_rttm(path)
        case ".json", _:
            assert read_folds(path)
        case ".csv", "metadata.csv":
            rows = list(read_csv(path, ("file_name",)))
            assert rows
            for row in rows:
                write_tone(path.parent / row["file_name"])
        case ".csv", _:
            for row in read_csv(path, ("audio",)):
                write_tone(path.parent / row["audio"], seconds=8)  # longer than the spans on a page
            assert list(read_manifest(path))
        case _:
            pytest.fail(f"no reader of {path.name}")


def read_recipe_part(block: Block, workplace) -> None:
    """Read a part of a recipe, in a recipe of the demonstration unless it names its base."""
    code = block.code if block.code.startswith("base:") else f"base: cross_attention.yaml\n{block.code}"
    path = workplace / "recipes" / "spoken" / "shown.yaml"
    path.write_text(code)
    Recipe.read(path, COMMANDS["search"], use_cpu=True)


def test_exceptions_are_needed():
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert not [part for part in (*NOT_RUN, *RUN_ELSEWHERE) if part not in text]
    assert {*RUN_ON} <= {*map(page_name, PAGES)}
