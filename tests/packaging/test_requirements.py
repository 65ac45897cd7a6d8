import configparser
import re
from pathlib import Path

import emofusion
import pytest

ROOT = Path(emofusion.__file__).parent


def read_bounds():
    """Lower bounds of setup.cfg, by distribution."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    sections = [config["options"]["install_requires"], *config["options.extras_require"].values()]
    return dict(re.findall(r"^([\w.-]+) >= ([\d.]+)", "\n".join(sections), re.MULTILINE))


def test_the_oldest_libraries_are_the_lower_bounds():
    pins = dict(re.findall(r"^([\w.-]+) == ([\d.]+)", (ROOT / "constraints-oldest.txt").read_text(), re.MULTILINE))
    bounds = read_bounds()
    for name, pin in pins.items():
        if name != "torch":
            assert re.sub(r"(\.0)+$", "", pin) == re.sub(r"(\.0)+$", "", bounds[name]), name
    tools = {"pytest", "pytest-timeout", "pytest-xdist", "ruff"}
    assert set(bounds) - tools == set(pins)


@pytest.mark.parametrize("extra", ["train", "search", "tracking", "demo", "faces", "export", "vad", "app", "docs"])
def test_the_development_extra_has_every_other_extra(extra):
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = config["options.extras_require"]
    assert set(extras[extra].split("\n")) <= set(extras["dev"].split("\n"))
    assert list(extras)[-1] == "dev"  # a missing library is named with the first extra that has it
