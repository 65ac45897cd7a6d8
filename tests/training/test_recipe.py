"""A recipe: bases, types of values, and copies with other settings."""

import re
from pathlib import Path

import pytest
import yaml
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from emofusion.modeling import head_score_combination, head_value_combination
from emofusion.training import command_arguments
from emofusion.training.arguments import DataArguments, EmotionTrainingArguments, ModelArguments
from emofusion.training.recipe import CROSS_VALIDATION, SPEAKER, TRAINING, Recipe, parse_recipe
from emofusion.training.settings import convert, field_types, read_settings
from testing_fresh import run_fresh

KNOWN = field_types(TRAINING)


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes a recipe and returns its path."""

    def write_recipe(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_recipe


def test_a_recipe_overrides_its_base_and_merges_mappings(write):
    write("base.yaml", "seed: 1\nmax_seconds: 5\nmodel_config: {a: 1, b: {c: 2, d: 3}, e: [1, 2]}\n")
    path = write("child.yaml", "base: base.yaml\nseed: 2\nmodel_config: {b: {d: 4}, e: [3]}\n")
    assert read_settings(path, KNOWN) == {
        "seed": 2,
        "max_seconds": 5.0,
        "model_config": {"a": 1, "b": {"c": 2, "d": 4}, "e": [3]},
    }


def test_null_removes_what_the_base_sets(write):
    write("base.yaml", "seed: 1\nlearning_rates: {a: 1, b: 2}\nmodel_config: {x: {y: 1}}\n")
    path = write(
        "child.yaml", "base: base.yaml\nseed: null\nlearning_rates: {a: null}\nmodel_config: {x: null, z: null}\n"
    )
    assert read_settings(path, KNOWN) == {"learning_rates": {"b": 2}, "model_config": {"z": None}}
    assert Recipe.read(path, use_cpu=True).training.seed == 42


@pytest.mark.parametrize("start", ["learning_rates: {text_encoder: 1e-5, a: 1}\n", "learning_rates: {a: 1}\n"])
def test_null_on_the_command_line_restores_the_default_of_a_member(write, start):
    path = write("start.yaml", f"{start}model_config: {{x: 1}}\n")
    options = ["--learning_rates.text_encoder", "null", "--model_config.x", "null", "--use_cpu"]
    recipe = parse_recipe([str(path), *options])
    assert recipe.training.learning_rates == {"a": 1}
    assert recipe.model.model_config == {}


def test_bases_form_chains_with_paths_relative_to_each_file(write):
    write("shared/first.yaml", "seed: 1\nmax_seconds: 5\n")
    write("shared/second.yaml", "base: first.yaml\nseed: 2\n")
    path = write("own/third.yaml", "base: ../shared/second.yaml\nlearning_rate: 1e-4\n")
    assert read_settings(path, KNOWN) == {"seed": 2, "max_seconds": 5.0, "learning_rate": 1e-4}


def test_a_circle_of_bases_is_refused(write):
    first, second = write("first.yaml", "base: second.yaml\n"), write("second.yaml", "base: first.yaml\n")
    with pytest.raises(ValueError, match="cannot be its own base") as caught:
        read_settings(first, KNOWN)
    assert str(second) in str(caught.value)


def test_a_long_chain_of_bases_is_refused(write):
    for number in range(200):
        write(f"{number}.yaml", f"base: {number + 1}.yaml\n")
    with pytest.raises(ValueError, match=r"0.yaml has a chain of more than 100 bases"):
        read_settings(write("200.yaml", "seed: 1\n").with_name("0.yaml"), KNOWN)


def test_the_recipes_of_the_package_are_found_from_any_folder(write, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert read_settings("recipes/spoken/text.yaml", KNOWN)["variant"] == "unimodal"
    write("recipes/spoken/text.yaml", "variant: multi_level\n")
    assert read_settings("recipes/spoken/text.yaml", KNOWN)["variant"] == "multi_level"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("recipes/spoken/txet.yaml", "(did you mean 'recipes/spoken/text.yaml'?)"),
        ("recipes/voxceleb", "recipes/voxceleb is a folder; give the path of a YAML file in it: pretrain_speaker"),
        ("loop.yaml", "There is no recipe loop.yaml"),
        ("a\0b", "There is no recipe"),
        (999 * "x", "There is no recipe"),
    ],
)
def test_a_path_that_is_no_recipe_is_one_sentence(monkeypatch, tmp_path, path, message):
    monkeypatch.chdir(tmp_path)
    Path("loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(ValueError, match=re.escape(message)):
        read_settings(path, KNOWN)


def test_a_recipe_that_is_not_utf_8_is_named(write):
    path = write("recipe.yaml", "")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"recipe.yaml is not UTF-8 text"):
        read_settings(path, KNOWN)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("seed: 1.5", "base.yaml: seed is 1.5; it must be a whole number."),
        ("sed: 1", "base.yaml has an unknown key 'sed' (did you mean 'seed'?)"),
        ("model_config: 5", "base.yaml: model_config is 5; it must be a mapping."),
        ("base: nowhere.yaml", "base.yaml has the base 'nowhere.yaml', which is not a file in"),
        ("base: [1]", "base.yaml has the base [1], which is not a file in"),
    ],
)
def test_an_error_names_the_file_of_the_key(write, base, message):
    write("base.yaml", base)
    with pytest.raises(ValueError, match=re.escape(message)):
        read_settings(write("child.yaml", "base: base.yaml\nseed: 2\n"), KNOWN)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (float, 3, 3.0),
        (float | None, "1e-4", 1e-4),
        (int, "7", 7),
        (bool, "false", False),
        (bool | None, 1, True),
        (str | None, True, "True"),
        (str, 5, "5"),
        (str | None, Path("a/b"), "a/b"),
        (list[int], "3", [3]),
        (list[float], [1, "2"], [1.0, 2.0]),
        (dict | None, '{"a": [1]}', {"a": [1]}),
        (dict | str | None, "auto", "auto"),
        (str | list[int | float] | None, "balanced", "balanced"),
        (str | list[int | float] | None, "[1, 2.5]", [1, 2.5]),
        (str | list[int | float] | None, ["1", "2.5"], [1, 2.5]),
        (str | bool, "true", True),
        (str | bool, "all", "all"),
    ],
)
def test_values_get_the_type_of_their_field(hint, value, expected):
    converted = convert("name", value, hint)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, 1.0, "name is 1.0; it must be a whole number."),
        (int, True, "name is True; it must be a whole number."),
        (float, [1], "name is [1]; it must be a number."),
        (bool, "maybe", "name is 'maybe'; it must be true or false."),
        (list[int], [1, "x"], "name is 'x'; it must be a whole number."),
        (dict | None, "a", "name is 'a'; it must be a mapping."),
        (str, {"a": 1}, "name is {'a': 1}; it must be a text."),
    ],
)
def test_a_wrong_type_is_one_sentence(hint, value, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convert("name", value, hint)


def test_an_unquoted_no_is_explained(write):
    with pytest.raises(ValueError, match=r"eval_strategy is False; .*no.* \(in quotes, or YAML takes it for false\)"):
        Recipe.read(write("recipe.yaml", "eval_strategy: no\n"))


def test_options_take_lists_and_switches(tmp_path):
    options = ["--seeds", "0", "1", "--folds", "2", "--bf16", "false", "--no_load_best_model_at_end", "--use-cpu"]
    recipe = parse_recipe([*options, f"--output_dir={tmp_path}"], CROSS_VALIDATION)
    assert (recipe.cross_validation.seeds, recipe.cross_validation.folds) == ([0, 1], [2])
    training = recipe.training
    assert (training.bf16, training.load_best_model_at_end, training.use_cpu) == (False, False, True)
    assert training.output_dir == str(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["seed", "1"], "There is no recipe seed"),
        (["-x"], "-x is no option"),
        (["--seed"], "--seed has no value; write --seed VALUE."),
        (["--seed", "1", "2"], "--seed is ['1', '2']; it must be a whole number."),
        (["--no_seed"], "Unknown option --no_seed"),
    ],
)
def test_a_wrong_option_is_one_sentence(options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_recipe(options)


def test_read_takes_settings_and_members(write):
    path = write("recipe.yaml", "model_config: {hidden_size: 8, x: 1}\nseed: 3\n")
    settings = {"learning_rate": 1e-4, "model_config.hidden_size": 16, "seed": None}
    recipe = Recipe.read(path, use_cpu=True, **settings)
    assert recipe.model.model_config == {"hidden_size": 16, "x": 1}
    assert (recipe.training.learning_rate, recipe.training.seed) == (1e-4, 42)
    assert Recipe.read(groups=SPEAKER, use_cpu=True).training.metric_for_best_model == "eer"


def test_replace_copies_and_checks_anew(tmp_path):
    recipe = Recipe(
        model=ModelArguments(model_config={"a": {"b": 1}}),
        data=DataArguments(max_seconds=2),
        training=EmotionTrainingArguments(output_dir=str(tmp_path), use_cpu=True),
    )
    other = recipe.replace(**{"model_config.a.b": 2, "max_seconds": None, "metric_for_best_model": "loss"})
    assert (recipe.model.model_config, other.model.model_config) == ({"a": {"b": 1}}, {"a": {"b": 2}})
    assert (recipe.data.max_seconds, other.data.max_seconds) == (2, None)
    assert (recipe.training.greater_is_better, other.training.greater_is_better) == (True, False)
    with pytest.raises(ValueError, match=r"Unknown option sed \(did you mean 'seed'"):
        recipe.replace(sed=1)
    with pytest.raises(ValueError, match="variant is 'x'; choose one of"):
        recipe.replace(variant="x")


def test_what_differs_from_the_defaults_is_a_recipe_again(write, tmp_path):
    text = "variant: unimodal\nmodel_config: {modality: text}\nlearning_rate: 1e-3\nclass_weights: [1, 2]\n"
    recipe = Recipe.read(write("recipe.yaml", text), use_cpu=True, output_dir=tmp_path)
    again = Recipe.read(write("again.yaml", yaml.safe_dump(recipe.given())), use_cpu=True, output_dir=tmp_path)
    assert again.given() == recipe.given()
    assert (again.model, again.data) == (recipe.model, recipe.data)


def test_a_description_leaves_the_state_of_accelerate_alone(tmp_path):
    recipe = Recipe.read(use_cpu=True, output_dir=tmp_path, learning_rate=0.5, bf16=True)
    state = Accelerator(cpu=True, mixed_precision="bf16").state
    partial = dict(PartialState._shared_state)
    assert recipe.describe() == {"learning_rate": 0.5, "bf16": True}
    assert state.mixed_precision == AcceleratorState().mixed_precision == "bf16"
    assert partial
    assert PartialState._shared_state == partial


def test_combinations_are_those_of_the_model():
    known = head_score_combination.COMBINATIONS | head_value_combination.VALUE_COMBINATIONS
    assert set(known) == set(command_arguments.COMBINATIONS)


def test_reading_a_recipe_does_not_import_datasets(write, tmp_path):
    code = "import sys; from emofusion import Recipe; Recipe.read(sys.argv[1], use_cpu=True); print('datasets' in sys.modules)"
    assert run_fresh(code, write("recipe.yaml", "seed: 1\n"), cwd=tmp_path).stdout == "False\n"
