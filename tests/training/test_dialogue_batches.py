"""Batches of dialogues, the history of a row, and runs with both contexts."""

import json

import numpy as np
import pytest
import yaml
from datasets import Dataset
from emofusion.corpora.demo.spoken import BLOCK
from emofusion.training import run
from emofusion.training.dialogue_batches import DialogueBatchSampler, DialogueHistory, Limit
from emofusion.training.late_fusion.fit import fit_late_fusion
from emofusion.training.processor_building import build_processor, find_context_turns
from emofusion.training.recipe import LATE_FUSION, Recipe, parse_recipe
from emofusion.training.run import train
from testing_training import FUSION, tiny_recipe
from transformers import AutoModelForAudioClassification, AutoProcessor, pipeline

CONTEXT = {"context_layers": 2, "context_window": 2, "context_hidden_size": 8, "context_heads": 2}


def rows_of(*dialogues, shuffled=True):
    """Return rows of dialogues of some lengths, whose turns have gaps; None is a row without a dialogue."""
    rows = []
    for number, size in enumerate(dialogues):
        name = None if size is None else f"d{number}"
        turns = [None] if size is None else [2 * turn for turn in range(size)]
        rows += [
            {"id": f"{number}-{turn}", "dialogue": name, "turn": turn, "speaker": f"s{(turn or 0) % 4}"}
            for turn in turns
        ]
    order = np.random.default_rng(0).permutation(len(rows)) if shuffled else range(len(rows))
    return Dataset.from_list([rows[place] for place in order])


def names_of(rows, numbers):
    return [rows[int(number)]["id"] for number in numbers]


def test_history_is_what_scores_depend_on_and_nothing_later():
    rows = rows_of(6, None, 3)
    history = DialogueHistory(rows, reach=2)
    by_name = {row["id"]: row for row in rows}
    asked = [by_name[name] for name in ("0-8", "1-None", "0-6", "2-0")]
    completed, places = history.complete(asked)
    assert [row["id"] for row in completed[:4]] == ["0-8", "1-None", "0-6", "2-0"]
    assert sorted(row["id"] for row in completed[4:]) == ["0-2", "0-4"]
    assert places["asked"] == (4,)
    at = dict(zip((row["id"] for row in completed), zip(places["dialogue"], places["turn"], strict=True), strict=True))
    assert {name: turn for name, (_, turn) in at.items() if name.startswith("0")} == {
        "0-2": 1,
        "0-4": 2,
        "0-6": 3,
        "0-8": 4,
    }
    assert len({dialogue for dialogue, _ in at.values()}) == 3
    twice, places = history.complete([by_name["0-4"], by_name["0-4"]])
    assert len(twice) == 6
    assert places["dialogue"][0] != places["dialogue"][1]
    with pytest.raises(ValueError, match="'x' is not among"):
        history.complete([{"id": "x"}])


def test_rows_whose_order_is_unknown_are_refused():
    rows = Dataset.from_list([{"id": name, "dialogue": "a", "turn": 1, "speaker": None} for name in "xy"])
    with pytest.raises(ValueError, match="'a' has the turn 1 twice"):
        DialogueHistory(rows, 2)
    with pytest.raises(ValueError, match="no column 'dialogue'"):
        DialogueHistory(rows.remove_columns("dialogue"), 2)


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("in_seconds", [False, True])
def test_every_utterance_is_in_one_batch_of_consecutive_turns(processes, in_seconds):
    rows = rows_of(7, 3, None, 2, 5, None, 11)
    history, lengths = DialogueHistory(rows, 2), np.random.default_rng(1).uniform(1, 2, len(rows))
    limit = Limit(max_seconds=9) if in_seconds else Limit(4)
    sampler = DialogueBatchSampler(history, limit, lengths, processes, seed=3)
    epochs = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert len(sampler) % processes == 0
        assert sorted(row for batch in batches for row in batch) == list(range(len(rows)))
        for batch in batches:
            completed, _ = history.complete([rows[row] for row in batch])
            known = {row["id"]: number for number, row in enumerate(rows)}
            seconds = len(completed) * max(lengths[known[row["id"]]] for row in completed)
            assert len(batch) <= 4 if not in_seconds else seconds <= 9
        epochs.append(batches)
    assert epochs[0] != epochs[1]
    sampler.set_epoch(0)
    assert list(sampler) == epochs[0]


def test_whole_dialogues_share_a_batch():
    rows = rows_of(3, 3, 2, shuffled=False)
    batches = list(DialogueBatchSampler(DialogueHistory(rows, 2), Limit(5)))
    found = sorted(sorted({name[0] for name in names_of(rows, batch)}) for batch in batches)
    assert sorted(map(len, batches)) == [3, 5]
    assert found in ([["0"], ["1", "2"]], [["0", "2"], ["1"]])


def test_batches_that_cannot_be_made_are_refused():
    history = DialogueHistory(rows_of(3), 2)
    with pytest.raises(ValueError, match="an utterance with the 2 before it takes 15"):
        DialogueBatchSampler(history, Limit(max_seconds=12), np.full(3, 5.0))
    with pytest.raises(ValueError, match="too few for 4 processes"):
        DialogueBatchSampler(history, Limit(1), num_processes=4)


def run_recipe(folder, corpus_root, **others):
    path = folder.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(tiny_recipe(corpus_root, folder, **others)))
    return train(parse_recipe([str(path)]))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, corpus_root):
    """A run with both contexts, a frozen speech encoder and its cache."""
    folder = tmp_path_factory.mktemp("runs") / "talk"
    fields = FUSION | CONTEXT | {"freeze_audio_layers": -1, "freeze_text_layers": -1}
    others = {"model_config": fields, "context_turns": 2, "context_tokens": 20, "num_train_epochs": 1}
    cache = {"cache_prefix": True, "cache_dir": str(folder.parent / "cache"), "per_device_eval_batch_size": 3}
    return folder, run_recipe(folder, corpus_root, **others, **cache)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model_config": FUSION | CONTEXT, "sampler": "balanced"},
            "sampler is given, but a model with context_layers",
        ),
        ({"model_config": FUSION | CONTEXT, "group_by_length": True}, "group_by_length is given, but a model with"),
        ({"context_tokens": 5}, "context_tokens must be at least 1, with context_turns"),
    ],
)
def test_options_that_do_not_fit_are_refused_before_the_model_is_built(
    corpus_root, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr(run, "build_model", lambda *_: pytest.fail("a model was built"))
    with pytest.raises(ValueError, match=message):
        run_recipe(tmp_path / "run", corpus_root, **options)


def test_a_run_keeps_the_contexts_of_the_model_that_it_starts_from(finished):
    folder, _ = finished
    start = Recipe.read(model_name_or_path=str(folder), use_cpu=True)
    model = AutoModelForAudioClassification.from_pretrained(folder)
    for options, turns, tokens in (({}, 2, 20), ({"context_turns": 0}, 0, None), ({"context_tokens": 9}, 2, 9)):
        recipe = start.replace(**options)
        assert find_context_turns(recipe.model, recipe.data) == turns
        processor = build_processor(recipe.model, recipe.data, model, [])
        assert (processor.context_turns, processor.context_tokens) == (turns, tokens)
        assert processor.max_seconds == 0.3


def test_run_with_both_contexts_is_saved_with_them(finished):
    folder, results = finished
    processor, model = AutoProcessor.from_pretrained(folder), AutoModelForAudioClassification.from_pretrained(folder)
    assert (processor.context_turns, processor.context_tokens) == (2, 20)
    assert model.config.history == 4
    assert {name: results.training[name] for name in ("context_turns", "context_layers", "context_window")} == {
        "context_turns": 2,
        "context_layers": 2,
        "context_window": 2,
    }
    page = (folder / "README.md").read_text()
    assert '"context": [' in page
    assert "2 previous turns" in page


def test_the_card_of_a_fusion_has_the_context_of_its_members(finished, corpus_root, tmp_path):
    folder, _ = finished
    settings = {"members": [str(folder)], "corpus": "spoken", "corpus_root": str(corpus_root), "context_turns": 3}
    settings |= {"corpus_options": {"utterances": BLOCK}, "output_dir": str(tmp_path), "use_cpu": True}
    results = fit_late_fusion(Recipe.read(groups=LATE_FUSION, disable_tqdm=True, **settings))
    assert (results.earlier_turns, results.history) == (2, 4)
    page = (tmp_path / "README.md").read_text()
    assert "2 previous turns" in page
    assert "also depend on the speech and text of up to 4 utterances before it." in page
    assert '"context": [' in page


def test_scores_of_a_run_equal_the_model_on_whole_dialogues_and_the_pipeline(finished, corpus):
    """Batches of three rows from the cache, whole dialogues without it, and single utterances with their context agree."""
    folder, results = finished
    predictions = [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
    recognise = pipeline("emotion-recognition", model=str(folder))
    test = corpus["test"]
    rows = sorted((row for row in test if row["dialogue"] == test[0]["dialogue"]), key=lambda row: row["turn"])
    turns = [{"audio": row["audio"]["path"], "text": row["text"], "speaker": row["speaker"]} for row in rows]
    known = {entry["id"]: entry for entry in predictions}
    for number, row in enumerate(rows):
        answer = recognise(turns[number] | {"context": turns[:number]})
        scores = {entry["label"]: entry["score"] for entry in answer}
        expected = np.array(known[row["id"]]["logits"])
        expected = np.exp(expected) / np.exp(expected).sum()
        assert np.abs(expected - [scores[label] for label in results.labels]).max() < 1e-4
