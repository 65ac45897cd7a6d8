import json

import pytest
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.evaluation.results import RunResults
from testing_training import TEXT, tiny_recipe

OPTIONS = {"utterances": BLOCK, "speaker_folds": 3}


@pytest.fixture(scope="module")
def place(tmp_path_factory, corpus_root):
    """A folder with a recipe, its output `a`."""
    place = tmp_path_factory.mktemp("cross")
    config = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
    recipe = tiny_recipe(corpus_root, place / "a", variant="unimodal", model_config=config, num_train_epochs=1)
    (place / "recipe.yaml").write_text(json.dumps(recipe | {"corpus_options": OPTIONS}))  # JSON is YAML
    return place


def test_runs_are_planned_trained_averaged_compared_and_not_repeated(call, complaint, place):
    arguments = (place / "recipe.yaml", "--folds", 2, "--seeds", 0, 1)
    printed = call("cross-validate", *arguments)
    assert printed.startswith(f"Cross-validating text on spoken; the output folder is {place / 'a'}.\n")
    assert "\ntext on the spoken demonstration corpus\n2 runs, 0 finished, in " in printed
    assert "fold-2-seed-1 (2 of 2): WA " in printed
    results = RunResults.read(place / "a")
    table, _, ending = printed.rpartition("\ntest ")[2].partition("\nCross-validated ")
    assert f"{100 * results.metrics['test'].ua:.1f}" in table
    assert all(picture in ending for picture in results.pictures)
    again = call("cross-validate", *arguments)
    assert "2 runs, 2 finished, in" in again
    assert again.rpartition("\ntest ")[2].partition("\nCross-validated ")[0] == table

    compared = call("compare", place / "a", place / "a")
    assert compared.splitlines()[-1].endswith("is not significant.")
    assert compared.startswith(f"Comparing {place / 'a'} with {place / 'a'}.\n")
    assert "made with other settings" in complaint("cross-validate", *arguments, "--learning_rate", "0.5")


def test_a_fold_trained_alone_has_the_same_weights(call, place):
    call("cross-validate", place / "recipe.yaml", "--folds", 3, "--seeds", 5, "--output_dir", place / "b")
    options = ("--corpus_options.fold", "3", "--seed", "5", "--output_dir", place / "alone")
    call("train", place / "recipe.yaml", *options)
    own, alone = (folder / "model.safetensors" for folder in (place / "b/fold-3-seed-5", place / "alone"))
    assert own.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.yaml"], 2, "There is no recipe nowhere.yaml"),
        (["--folds", "3"], 1, "There is no fold 3; this protocol of spoken has 1."),
        (["--metric_for_best_model", "test_ua"], 2, "the validation split has loss, wa"),
    ],
)
def test_what_is_wrong_is_one_sentence(complaint, arguments, status, message):
    assert message in complaint("cross-validate", *arguments, status=status)
