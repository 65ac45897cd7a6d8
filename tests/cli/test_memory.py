import re
from pathlib import Path

import emofusion
import pytest

RECIPE = Path(emofusion.__file__).parent / "recipes" / "spoken" / "text.yaml"


def test_a_row_is_printed_for_each_recipe(call):
    lines = call("memory", RECIPE, RECIPE, "--seconds", "2").splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {13}
    assert re.match(r"\| text \| 0 \| 0 \| 16 \|", lines[-1])


def test_a_missing_recipe_is_named(complaint):
    assert "There is no recipe nowhere.yaml" in complaint("memory", "nowhere.yaml", status=2)


@pytest.mark.parametrize("option", ["--processes=0", "--processes=x", "--seconds=-1", "--seconds=nan"])
def test_a_number_that_is_not_positive_is_refused(complaint, option):
    message = complaint("memory", "recipes/spoken/text.yaml", option, status=2)
    name, _, value = option.partition("=")
    kind = "whole number" if name == "--processes" else "number"
    assert message == f"Argument {name}: {value!r} is not a positive {kind}; see emofusion memory --help."
