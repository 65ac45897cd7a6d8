"""The README and the other pages: commands are understood, links lead somewhere. `test_page_code.py` runs their code."""

import configparser
import re
from pathlib import Path

import pytest
from emofusion.cli import demo
from emofusion.cli.commands import COMMANDS, Parser
from emofusion.cli.main import main
from emofusion.cli.recipe_help import RECIPE_COMMANDS
from emofusion.training import recipe as recipes
from testing_pages import (
    PAGES,
    ROOT,
    blocks,
    broken_links,
    commands,
    emofusion_arguments,
    missing_names,
    page_name,
)


class Parsed(BaseException):
    """Raised in place of a command, once its arguments were parsed."""


@pytest.fixture
def parse_only(monkeypatch, tmp_path):
    """Stop commands once they have parsed their arguments."""

    def parse_and_stop(parse):
        def stop(*args, **kwargs):
            parse(*args, **kwargs)
            raise Parsed

        return stop

    monkeypatch.chdir(tmp_path)  # recipes are found in the package
    monkeypatch.setattr(Parser, "parse_args", parse_and_stop(Parser.parse_args))
    monkeypatch.setattr(recipes, "parse_recipe", parse_and_stop(recipes.parse_recipe))
    monkeypatch.setattr(demo, "demonstrate", parse_and_stop(lambda *args: None))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_emofusion_commands_are_valid(page, parse_only, capsys):
    for block in filter(lambda block: block.file, blocks(page)):
        Path(block.file).parent.mkdir(parents=True, exist_ok=True)
        Path(block.file).write_text(block.code)
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
            case ["pip", "install", *names] if not any(name.startswith("-") for name in names):
                known = re.findall(
                    r"[\w-]+", setup["options"]["install_requires"] + "".join(setup["options.extras_require"].values())
                )
                assert {*names} <= {*known, "tokenizers"}  # of transformers
            case ["git", "clone", url]:
                assert url == setup["metadata"]["url"]
            case ["cd", folder]:
                assert folder == setup["metadata"]["url"].rpartition("/")[2]
            case ["curl", *_]:
                pass  # tests/inference/test_serving.py sends it to a server
            case ["python", "small/predict_onnx.py", *_]:
                pass  # an export writes it; tests/inference/test_export.py runs it
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
