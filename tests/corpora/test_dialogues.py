"""The turns before an utterance, from the rows of a corpus and from turns that give no row."""

import dataclasses
import warnings

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora import load_corpus
from emofusion.corpora.dialogues import TURN, add_context
from emofusion.corpora.joining.selection import Selection
from emofusion.corpora.preparation.prepared_folder import read_turns
from emofusion.corpora.registry import load_turns, prepare_corpus
from testing_folder import make_folder
from testing_iemocap import build_iemocap
from testing_meld import make_reencoded


def turn(name, dialogue, number, speaker, text, asr=None):
    return dict(zip(TURN, (name, dialogue, number, speaker, text, asr), strict=True))


TURNS = [
    turn("a0", "a", 0, "Ann", "zero", "null"),
    turn("a4", "a", 4, "Ann", "four"),
    turn(None, "a", 2, "Ben", "two"),
    turn("a3", "a", 3, None, " "),
    turn("a7", "a", 7, None, "seven"),
    turn("b0", "b", 0, "Ben", "other", "others"),
    turn("b1", "b", 1, "Ben", "test", "tests"),
    turn("c", None, None, "Ann", "alone", "one"),
]


def splits(**ids):
    rows = {row["id"]: row for row in TURNS}
    return DatasetDict({split: Dataset.from_list([rows[name] for name in names]) for split, names in ids.items()})


def context_of(corpus, count=5, column="text"):
    found = add_context(corpus, TURNS, count, column)
    rows = (row for rows in found.values() for row in rows)
    return {row["id"]: [(turn["speaker"], turn["text"]) for turn in row["context"]] for row in rows}


def test_context_has_the_turns_before_a_row_in_order_and_none_after_it():
    found = context_of(splits(train=["a7", "a0", "a4", "c"], test=["b0", "b1"]))
    assert found["a0"] == found["b0"] == found["c"] == []
    assert found["a4"] == [("Ann", "zero"), ("Ben", "two")]
    assert found["a7"] == [(None, "zero"), (None, "two"), (None, "four")]
    assert found["b1"] == [("Ben", "other")]
    assert context_of(splits(train=["a4"], test=["b1"]), 1)["a4"] == [("Ben", "two")]


def test_recognised_texts_take_the_place_of_transcripts_everywhere():
    found = context_of(splits(train=["a4"], test=["b1"]), column="asr_text")
    assert found == {"a4": [("Ann", "null")], "b1": [("Ben", "others")]}


def test_turns_of_another_split_are_left_out_with_a_warning():
    with pytest.warns(UserWarning, match="1 of 2 dialogues are in several splits, such as a"):
        found = context_of(splits(train=["a4", "b1"], test=["a0"]))
    assert found["a4"] == [("Ben", "two")]


def test_dialogue_without_order_is_refused():
    twice = [*TURNS, turn("d", "a", 4, "Ann", "again")]
    rows = DatasetDict({"train": Dataset.from_list([twice[1], twice[-1]])})
    with pytest.raises(ValueError, match="'a' has the turn 4 twice"):
        add_context(rows, twice, 2, "text")


def test_turns_of_iemocap_that_are_no_rows_are_context(tmp_path):
    root = build_iemocap(tmp_path / "IEMOCAP")
    with warnings.catch_warnings(action="ignore"):
        corpus, turns = load_corpus("iemocap", root), load_turns("iemocap", root)
        every = load_turns("iemocap", root, classes="all")
    unused = [row for row in turns if row["id"] is None]
    names = {row["id"] for rows in corpus.values() for row in rows}
    assert names == {row["id"] for row in turns} - {None}
    assert any(row["text"] for row in unused)

    def place(row):
        return row["dialogue"], row["turn"], row["speaker"], row["text"]

    # With all labels, turns of other emotions are rows, and have the same words.
    assert {place(row) for row in unused} >= {place(row) for row in every if row["id"] not in names | {None}}


def test_turns_of_meld_without_a_clip_are_context_and_older_folders_are_prepared_again(tmp_path):
    root = make_reencoded(tmp_path / "meld")
    (root / "audio/train/dia1_utt0.flac").unlink()
    with warnings.catch_warnings(action="ignore"):
        prepared = prepare_corpus("meld", root, tmp_path / "prepared")
        corpus = load_corpus("meld", prepared.folder)
        turns = load_turns("meld", prepared.folder)
    found = add_context(corpus, turns, 3, "text")["train"]
    contexts = dict(zip(found["id"], found["context"], strict=True))
    assert contexts["train_dia1_utt1"] == [{"speaker": "All", "text": 'She said "no", twice.'}]
    assert [turn["text"] for turn in contexts["train_dia0_utt2"]] == [
        "It’s late, “very” late…".replace("s late", "s late")
    ]
    (prepared.folder / "turns.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a list of turns: prepare the corpus again"):
        read_turns(prepared.folder)
    (prepared.folder / "turns.json").unlink()
    with pytest.raises(ValueError, match="prepare the corpus again"):
        load_turns("meld", prepared.folder)


def test_speakers_of_the_context_are_named_as_those_of_the_rows_in_a_run_with_several_corpora(tmp_path):
    root, own = make_reencoded(tmp_path / "meld"), make_folder(tmp_path / "own")
    roots = {"meld": root, "meld:copy": root, "folder": own}
    selection = Selection(names=["meld"], tested=["meld:copy"], roots=roots, context_turns=2, needs_labels=False)
    with warnings.catch_warnings(action="ignore"):
        corpus, _ = selection.load()
        joined, _ = dataclasses.replace(selection, names=["meld", "folder"], tested=[]).load()
    context = {row["id"]: row["context"] for row in corpus["train"]}
    assert [turn["speaker"] for turn in context["train_dia0_utt2"]] == ["Ada"]
    context = {row["id"]: (row["speaker"], row["context"]) for row in joined["train"]}
    speaker, turns = context["meld/train_dia0_utt2"]
    assert (speaker, [turn["speaker"] for turn in turns]) == ("meld/Ben", ["meld/Ada"])
