"""The README is followed to the letter."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from emofusion.corpora.demo import spoken
from emofusion.hub import write_bundle
from emofusion.training.recipe import parse_recipe
from emofusion.training.run import build_model, build_processor

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md")


def blocks(page, language):
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def commands():
    lines = (line for page in PAGES for block in blocks(page, "bash") for line in block.splitlines())
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a recording and an untrained model where the demonstration leaves a trained one."""
    folder = tmp_path_factory.mktemp("workplace")
    output = folder / "runs" / "demo" / "cross_attention"
    recipe = ROOT / "recipes" / "spoken" / "cross_attention.yaml"
    recipe = parse_recipe([str(recipe)])
    model = build_model(recipe.model, list(spoken.LABELS))
    processor = build_processor(recipe.model, recipe.data, model, ["What a lovely morning."])
    model.save_pretrained(output)
    processor.save_pretrained(output)
    write_bundle(model, output, processor)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "recording.wav", rng.normal(0, 0.1, 16000), 16000)
    return folder


@pytest.mark.parametrize("number", range(len(blocks("README.md", "python"))))
def test_python_blocks_run(number, workplace):
    code = blocks("README.md", "python")[number]
    environment = os.environ | {"HF_MODULES_CACHE": str(workplace / "modules"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=workplace, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr


def test_commands_exist():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands()
    for command in commands():
        if command[0] == "make":
            assert command[1] in targets, command
        else:
            scripts = [word for word in command if word.startswith("scripts/")]
            assert len(scripts) == 1, command
            assert (ROOT / scripts[0]).is_file(), command


def test_recipes_and_their_options_are_understood(monkeypatch):
    monkeypatch.chdir(ROOT)
    trainings = [command for command in commands() if "scripts/train.py" in command]
    assert trainings
    for command in trainings:
        parse_recipe(command[command.index("scripts/train.py") + 1 :])


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target
