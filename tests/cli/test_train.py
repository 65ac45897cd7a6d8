import sys
from pathlib import Path

import emofusion
import pytest
from emofusion.evaluation.results import RunResults
from testing_commands import start

ROOT = Path(emofusion.__file__).parent
LAUNCH = (
    *(Path(sys.executable).parent / "accelerate", "launch", "--num_processes", "1", "--num_machines", "1"),
    *("--mixed_precision", "no", "--dynamo_backend", "no", "--cpu"),
)
OPTIONS = ("--learning_rate", "5e-3", "--model_config.conv_kernel_size", "5")


def test_the_scores_are_printed_and_options_override_the_recipe(trained):
    done, folder = trained
    assert done.returncode == 0, done.stderr[-3000:]
    heading, line = done.stdout.split("\n\n")[-2].strip().splitlines()[-2:]
    assert heading.split() == ["system", "WA", "UA", "WF1", "parameters", "training"]
    assert line.startswith("cross_attention ")
    assert "emofusion predict plain" in done.stdout
    results = RunResults.read(folder)
    assert results.training["learning_rate"] == 5e-3
    assert results.recipe["model_config"]["conv_kernel_size"] == 5
    assert f"{100 * results.metrics['test'].wa:.1f}" == line.split()[1]


def test_accelerate_launches_the_module_with_the_same_result(trained, place):
    command = (*LAUNCH, "-m", "emofusion", "train", "recipe.yaml", "--output_dir", "launched", *OPTIONS)
    done = start(*command, cwd=place)
    assert done.returncode == 0, done.stderr[-3000:]
    assert RunResults.read(place / "launched").metrics == RunResults.read(place / "plain").metrics


def test_an_unknown_key_of_a_recipe_is_named(complaint, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("learning_rat: 1\n")
    expected = f"{path} has an unknown key 'learning_rat'; did you mean 'learning_rate'?"
    assert complaint("train", path, status=2) == expected


@pytest.mark.parametrize("arguments", [["nowhere.yaml"], ["--seed", "x"], ["--variant", "x"], ["--seedd", "1"]])
def test_a_wrong_option_is_named(complaint, arguments):
    message = complaint("train", *arguments, status=2)
    assert arguments[-1] in message or arguments[0] in message
