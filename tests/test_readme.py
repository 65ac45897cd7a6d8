"""The README and the other pages: Python code runs, commands are understood, links lead somewhere."""

import configparser
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from emofusion.cli import demo
from emofusion.cli.commands import COMMANDS, Parser
from emofusion.cli.main import main
from emofusion.cli.recipe_help import RECIPE_COMMANDS
from emofusion.corpora.demo import spoken
from emofusion.hub import write_bundle
from emofusion.training import recipe as recipes
from emofusion.training.model_building import build_model
from emofusion.training.processor_building import build_processor
from testing_pages import (
    PAGES,
    ROOT,
    broken_links,
    code_blocks,
    commands,
    emofusion_arguments,
    missing_names,
    page_name,
)

# Pages whose Python code needs only a recording and the model of the demonstration, by whether it imports emofusion.
RUNNABLE = {"without emofusion": ("README.md", "docs/pipeline.md"), "with emofusion": ("docs/build.md", "docs/explain.md")}
# Runs the code of each page in a namespace of its own, in one process, because imports take long.
RUNNER = "import json, sys\nfor code in json.loads(sys.argv[1]):\n    exec(code, {})\n"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a recording and an untrained model where the demonstration leaves a trained one."""
    folder = tmp_path_factory.mktemp("workplace")
    output = folder / "runs" / "demo" / "cross_attention"
    recipe = recipes.parse_recipe([str(ROOT / "recipes" / "spoken" / "cross_attention.yaml")])
    model = build_model(recipe.model, list(spoken.LABELS))
    processor = build_processor(recipe.model, recipe.data, model, ["What a lovely morning."])
    model.save_pretrained(output)
    processor.save_pretrained(output)
    write_bundle(model, output, processor)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "recording.wav", rng.normal(0, 0.1, 16000), 16000)
    return folder


@pytest.mark.parametrize("pages", RUNNABLE.values(), ids=RUNNABLE)
def test_python_code_runs(pages, workplace):
    codes = ["\n".join(code_blocks(ROOT / page, "python")) for page in pages]
    assert codes
    environment = os.environ | {"HF_MODULES_CACHE": str(workplace / "modules"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", RUNNER, json.dumps(codes)],
        cwd=workplace,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


class Parsed(BaseException):
    """Raised in place of a command, once its arguments were parsed."""


@pytest.fixture
def parse_only(monkeypatch):
    """Stop commands once they have parsed their arguments."""

    def parse_and_stop(parse):
        def stop(*args, **kwargs):
            parse(*args, **kwargs)
            raise Parsed

        return stop

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(Parser, "parse_args", parse_and_stop(Parser.parse_args))
    monkeypatch.setattr(recipes, "parse_recipe", parse_and_stop(recipes.parse_recipe))
    monkeypatch.setattr(demo, "demonstrate", parse_and_stop(lambda *args: None))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_emofusion_commands_are_valid(page, parse_only, capsys):
    for command in commands(page):
        arguments = emofusion_arguments(command)
        if arguments is None:
            continue
        try:
            status = main([*arguments, *(["--use_cpu", "true"] if arguments[0] in RECIPE_COMMANDS else [])])
        except Parsed:
            continue
        assert status == 0, f"{command}: {capsys.readouterr().err}"
        assert {"--help", "--list"} & {*arguments}, command


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_in_text_exist(page):
    named = re.findall(r"`emofusion ([a-z][\w-]*)", page.read_text("utf-8"))
    assert {*named} <= {*COMMANDS}
    assert not re.search(r"(?<!accelerate launch )scripts/(?!compare_transfer)\w+\.py", page.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_other_commands_exist(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for command in commands(page):
        if emofusion_arguments(command) is not None:
            continue
        match command:
            case ["make", target]:
                assert target in targets
            case ["pip", "install", "-e", where]:
                extras = re.fullmatch(r"\.(?:\[(.+)\])?", where)[1]
                assert {*(extras or "").split(",")} - {""} <= {*setup["options.extras_require"]}
            case ["git", "clone", url]:
                assert url == setup["metadata"]["url"]
            case ["cd", folder]:
                assert folder == setup["metadata"]["url"].rpartition("/")[2]
            case ["python", script, *_]:
                assert (ROOT / script).is_file()
            case _:
                pytest.fail(f"an unknown command: {command}")


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_and_names_exist(page):
    assert not broken_links(page)
    assert not missing_names(page)


def test_readme_has_commands_and_picture():
    readme = ROOT / "README.md"
    shown = [arguments[0] for command in commands(readme) if (arguments := emofusion_arguments(command))]
    assert {"demo", "predict", "train"} <= {*shown}
    assert "](docs/overview.svg)" in readme.read_text("utf-8")
