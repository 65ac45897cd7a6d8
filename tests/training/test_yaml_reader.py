"""The reader of YAML: plain values, and one sentence for everything that is malformed, huge or endless."""

import re

import pytest
from emofusion.training import yaml_reader
from emofusion.training.recipe import parse_recipe
from emofusion.training.yaml_reader import parse_yaml, read_yaml

TENFOLD = [
    f"{name}: &{name} [{', '.join([f'*{inner}'] * 10)}]" for inner, name in zip("abcdefgh", "bcdefghi", strict=True)
]
BOMB = "\n".join(["a: &a [x, x, x, x, x, x, x, x, x, x]", *TENFOLD])
MERGED = "\n".join(["a: &a {x: 1}", *(line.replace("[", "{<<: [").replace("]", "]}") for line in TENFOLD)])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{a: 1e-4, b: [yes, null, 'x'], c: {d: 0x10}}", {"a": 1e-4, "b": [True, None, "x"], "c": {"d": 16}}),
        ("2024-01-31", "2024-01-31"),
        ("=", "="),
        ("[&a {x: 1}, *a]", [{"x": 1}, {"x": 1}]),
        ("{<<: {a: 1}, b: 2}", {"a": 1, "b": 2}),
        ("", None),
    ],
)
def test_yaml_becomes_values_that_json_has(text, value):
    assert parse_yaml("option", text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "100,000 values"),
        (MERGED, "100,000 values"),
        ("a: &a [*a]", "leads back to itself"),
        ("a: &a {b: *a}", "leads back to itself"),
        ("[" * 100_000, "50 levels"),
        ("- " * 2000, "50 levels"),
        ("{a: " * 60 + "1" + "}" * 60, "50 levels"),
        ("x" * 1_000_001, "1,000,000 characters"),
        ("{a: 1, a: 2}", "'a' is given twice"),
        ("[", "expected the node content"),
        ("9" * 5000, "too long for a number"),
        ("!!int ''", "does not fit its tag"),
        ("!!bool x", "does not fit its tag"),
        ("!!binary eA==", "binary"),
        ("!!python/object/apply:os.system [x]", "python"),
        ("? [a]\n: b", "unhashable"),
        ("a\0b", "special characters"),
    ],
)
def test_what_is_malformed_huge_or_endless_is_one_short_sentence(text, problem, tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    for start, call in (("option is ", lambda: parse_yaml("option", text)), (str(path), lambda: read_yaml(path))):
        with pytest.raises(ValueError, match=f"^{start}.*{re.escape(problem)}.*\\.$") as caught:
            call()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_bomb_in_a_mapping_of_a_recipe_is_refused_at_once(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("model_config:\n" + "\n".join(f"  {line}" for line in BOMB.splitlines()))
    with pytest.raises(ValueError, match=r"recipe\.yaml is not readable YAML in line .*100,000 values"):
        parse_recipe([str(path)])
    with pytest.raises(ValueError, match=r"model_config is .*100,000 values"):
        parse_recipe(["--model_config", "{" + ", ".join(BOMB.splitlines()) + "}"])


def test_no_more_of_a_file_is_read_than_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(yaml_reader, "MOST_CHARACTERS", 10)
    path = tmp_path / "recipe.yaml"
    path.write_text("seed: 1 # a comment")
    with pytest.raises(ValueError, match="more than 10 characters"):
        read_yaml(path)
