"""Several corpora in one run, other corpora after a training, and the table of scores between corpora."""

import json

import pytest
from emofusion.evaluation.results import RunResults
from testing_folder import make_folder, make_rows
from testing_training import TEXT, tiny_recipe

MODEL = {"modality": "text", "text_config": TEXT, "hidden_size": 8}
LABELS = ("calm", "cross", "gay")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A recipe for two folders: `folder:a` is sad or glad, `folder:b` calm, cross or gay."""
    place = tmp_path_factory.mktemp("corpora")
    other = [row | {"label": LABELS[number % 3]} for number, row in enumerate(make_rows(9))]
    roots = {"folder:a": make_folder(place / "a", make_rows(8)), "folder:b": make_folder(place / "b", other)}
    recipe = tiny_recipe(place, place / "runs", variant="unimodal", model_config=MODEL, num_train_epochs=1)
    recipe |= {
        "corpus": list(roots),
        "corpus_root": {name: str(root) for name, root in roots.items()},
        "corpus_options": {},
        "label_map": {
            "folder:a": {"sad": "sad", "glad": "glad"},
            "folder:b": {"gay": "glad", "calm": None, "cross": "cross"},
        },
    }
    (place / "recipe.yaml").write_text(json.dumps(recipe))
    return place


@pytest.fixture(scope="module")
def table(place, tmp_path_factory):
    """What the command printed for the table of both folders, and for the same command again."""
    import contextlib
    import io

    from emofusion.cli.main import main

    printed = []
    for _ in range(2):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["cross-corpus", str(place / "recipe.yaml"), "--training_sets", "each", "all"]) == 0
        printed.append(out.getvalue())
    return printed


@pytest.mark.filterwarnings("ignore:The train split has no utterance")
def test_models_are_trained_on_each_corpus_and_tested_on_all(place, table):
    results = RunResults.read(place / "runs")
    found = results.cross_corpus
    assert found.trained == {"folder:a": ["folder:a"], "folder:b": ["folder:b"], "all": ["folder:a", "folder:b"]}
    assert found.runs == ["folder-a-seed-42", "folder-b-seed-42", "all-seed-42"]
    assert found.utterances == {"folder:a": 2, "folder:b": 1}
    assert found.unlearned == {"folder:a": ["cross"], "folder:b": ["sad"]}
    assert results.labels == ["glad", "sad", "cross"]
    own, other = (RunResults.read(place / "runs" / name) for name in found.runs[:2])
    assert found.scores["folder:a"]["folder:a"]["ua"] == [own.metrics["test"].ua]
    assert found.scores["folder:b"]["folder:a"]["ua"] == [other.metrics["folder:a"].ua]
    joint = RunResults.read(place / "runs" / found.runs[2])
    assert found.scores["all"]["folder:b"]["wa"] == [joint.breakdown["corpus folder:b"].wa]
    assert results.corpus.dropped == {"folder:b": {"calm": 6}}
    assert (place / "runs/cross_corpus.png").is_file()
    card = (place / "runs/README.md").read_text("utf-8")
    assert "## Scores between corpora" in card
    assert "| Trained on | on folder:a | on folder:b |" in card
    assert "| folder:b: calm | none (dropped) | 6 |" in card
    assert "which these models have not learned to recognise" in card


def test_a_table_is_no_system_to_compare(complaint, place, table):
    message = complaint("compare", place / "runs", place / "runs/all-seed-42")
    assert message.endswith("holds a table of models for several corpora: name the folder of one of them.")


def test_finished_runs_are_kept(place, table):
    first, again = table
    assert "3 runs, 0 finished" in first
    assert "3 runs, 3 finished" in again
    assert (
        first.partition("\nWA\n")[2].partition("Trained ")[0] == again.partition("\nWA\n")[2].partition("Trained ")[0]
    )


def test_a_run_shows_label_maps_and_scores_of_each_corpus(place, table):
    folder = place / "runs/all-seed-42"
    assert "  folder:b: calm" not in table[0]
    assert "  folder:b: cross, gay -> glad; dropped: calm (6)" in table[0]
    results = RunResults.read(folder)
    assert results.corpus.name == "folder:a+folder:b"
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    assert {line["corpus"] for line in lines} == {"folder:a", "folder:b"}
    assert "| Corpus folder:a | 2 |" in (folder / "README.md").read_text("utf-8")
    assert set(json.loads((folder / "splits.json").read_text("utf-8"))["1"]) == {"train", "validation", "test"}


def test_other_corpora_are_predicted_scored_and_shown(place, table):
    folder = place / "runs/folder-b-seed-42"
    results = RunResults.read(folder)
    assert list(results.metrics) == ["validation", "test", "folder:a"]
    lines = [json.loads(line) for line in (folder / "predictions.jsonl").read_text("utf-8").splitlines()]
    others = [line for line in lines if line["split"] == "folder:a"]
    assert [line["corpus"] for line in others] == ["folder:a"] * 2
    assert all(line["id"].startswith("folder:a/") for line in others)
    assert "corpus" not in next(line for line in lines if line["split"] == "test")
    card = (folder / "README.md").read_text("utf-8")
    assert "### folder:a, another corpus" in card
    assert "Confusion matrix (folder:a):" in card
    assert "![Confusion matrix folder-a](confusion_matrix_folder-a.png)" in card
    assert "has no utterance of sad, which the model has not learned to recognise" in card


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["--corpus", "folder:a", "--label_map", "{}"],
            2,
            "corpus_root has 'folder:b', which the run does not have",
        ),
        (["--training_sets", "others"], 1, "training_sets has 'others', which needs three or more corpora"),
        (["--training_sets", "some"], 2, "training_sets is 'some'; choose one of each, others, all"),
        (["--push_to_hub"], 1, "push_to_hub is given, but every run is a model of its own"),
        (["--label_map.folder:b", "{gay: glad}"], 1, "has no class for calm, cross of folder:b: map each label to"),
        (["--test_corpora", "folder:a"], 2, "test_corpora has 'folder:a', which is learned from and tested anyway"),
        (["--test_corpora", "meld_"], 2, "which is no corpus (did you mean 'meld'?)"),
        (["--corpus_root", "x"], 2, "corpus_root is 'x', but the run has several corpora"),
    ],
)
def test_what_is_wrong_is_one_sentence(complaint, place, tmp_path, arguments, status, message):
    arguments = ("--output_dir", tmp_path / "runs", *arguments)
    assert message in complaint("cross-corpus", place / "recipe.yaml", *arguments, status=status)
