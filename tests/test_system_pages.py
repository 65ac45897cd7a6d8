"""The pages of the systems name recipes, commands and defaults that exist, and show diagrams that are up to date."""

import importlib
import re

import pytest
import yaml
from emofusion.configuration import VARIANTS
from testing_pages import ROOT, commands, emofusion_arguments

FOLDER = ROOT / "docs" / "systems"
PAGES = sorted(page.name for page in FOLDER.glob("*.md"))
SYSTEMS = [variant for variant in VARIANTS if f"{variant}.md" in PAGES]
REGISTRY = yaml.safe_load((ROOT / "recipes" / "registry.yaml").read_text("utf-8"))


def read(page: str) -> str:
    return (FOLDER / page).read_text("utf-8")


def test_every_system_has_page_in_index():
    assert set(SYSTEMS) == set(VARIANTS) - {"unimodal"}
    assert {f"{system}.md" for system in SYSTEMS} | {"README.md"} == set(PAGES)
    assert all(f"({system}.md)" in read("README.md") for system in SYSTEMS)


def test_every_recipe_has_its_command_on_a_page():
    run = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for arguments in filter(None, map(emofusion_arguments, commands(page))):
            run |= {(word, arguments[0]) for word in arguments[1:]}
    for entry in REGISTRY["recipes"]:
        wanted = {
            (f"recipes/{entry['path']}", command) for command in (entry.get("command", "train"), "cross-validate")
        }
        assert wanted & run, entry["path"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_page_lists_defaults(system):
    module = importlib.import_module(f"emofusion.configuration.configuration_{system}")
    config = getattr(module, f"{VARIANTS[system]}Config")()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", read(f"{system}.md"), re.MULTILINE)
    assert rows
    listed = {field: yaml.safe_load(default) for field, default in rows}
    assert listed == {field: getattr(config, field) for field in listed}
    own = {name for name in type(config).__annotations__ if name not in ("paper", "member_configs")}
    assert own <= set(listed)


def test_pictures_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    drawing = importlib.import_module("drawing")
    pictures = drawing.draw_all()
    for name, text in pictures.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == text, f"run python docs/draw.py: {name}"
    assert {f"systems/{system}.svg" for system in SYSTEMS} <= set(pictures)
    assert all(f"({system}.svg)" in read(f"{system}.md") for system in SYSTEMS)
