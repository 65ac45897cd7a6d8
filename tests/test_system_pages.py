"""The pages of the systems name recipes, options, defaults and files that are there, and show what is drawn now."""

import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import emofusion
import pytest
import yaml
from emofusion.configuration import VARIANTS
from emofusion.training.recipe import LATE_FUSION, SPEAKER, TRAINING, parse_recipe

ROOT = Path(emofusion.__file__).parent
FOLDER = ROOT / "docs" / "systems"
PAGES = sorted(page.name for page in FOLDER.glob("*.md"))
SYSTEMS = [variant for variant in VARIANTS if f"{variant}.md" in PAGES]
REGISTRY = yaml.safe_load((ROOT / "recipes" / "registry.yaml").read_text("utf-8"))
# Groups of arguments that the recipes of a script have.
GROUPS = {
    "scripts/train.py": TRAINING,
    "scripts/fit_late_fusion.py": LATE_FUSION,
    "scripts/pretrain_speaker.py": SPEAKER,
}


def read(page: str) -> str:
    return (FOLDER / page).read_text("utf-8")


def commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```", read(page), re.DOTALL | re.MULTILINE)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def test_every_system_has_a_page_that_the_index_names():
    assert set(SYSTEMS) == set(VARIANTS) - {"unimodal"}
    assert {f"{system}.md" for system in SYSTEMS} | {"README.md"} == set(PAGES)
    assert all(f"({system}.md)" in read("README.md") for system in SYSTEMS)


@pytest.mark.parametrize("page", PAGES)
def test_links_of_a_page_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", read(page)):
        assert target.startswith("https://") or (FOLDER / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_are_understood(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for interpreter, script, *argv in commands(page):
        assert interpreter == ".venv/bin/python"
        assert (ROOT / script).is_file()
        if script in GROUPS:
            parse_recipe([*argv, "--use_cpu", "true"], GROUPS[script])


def test_every_recipe_is_run_on_some_page_by_its_script():
    run = {(word, script) for page in PAGES for _, script, *argv in commands(page) for word in argv}
    for entry in REGISTRY["recipes"]:
        assert (f"recipes/{entry['path']}", f"scripts/{entry.get('script', 'train.py')}") in run


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_tells_the_defaults(system):
    module = importlib.import_module(f"emofusion.configuration.configuration_{system}")
    config = getattr(module, f"{VARIANTS[system]}Config")()
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", read(f"{system}.md"), re.MULTILINE)
    assert rows
    told = {field: yaml.safe_load(default) for field, default in rows}
    assert told == {field: getattr(config, field) for field in told}
    own = {name for name in type(config).__annotations__ if name not in ("paper", "member_configs")}
    assert own <= set(told)


def test_diagrams_are_as_they_are_drawn():
    spec = importlib.util.spec_from_file_location("draw", FOLDER / "draw.py")
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    assert set(drawing.DIAGRAMS) == set(SYSTEMS)
    for name, diagram in drawing.DIAGRAMS.items():
        assert (FOLDER / f"{name}.svg").read_text("utf-8") == drawing.draw(diagram), (
            f"run docs/systems/draw.py: {name}"
        )
        assert f"({name}.svg)" in read(f"{name}.md")
