import json
import os

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.folds import check_speaker_independent, describe_rows, read_folds, texts_seen, write_folds

FOLDS = {"one": {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}}


def corpus(**speakers):
    return DatasetDict({split: Dataset.from_dict({"speaker": names}) for split, names in speakers.items()})


def test_speaker_check_returns_speakers_per_split():
    proof = check_speaker_independent(corpus(train=["b", "a", "b"], test=["c"]))
    assert proof == {"train": ["a", "b"], "test": ["c"]}


def test_crossing_speakers_are_named_with_their_splits():
    with pytest.raises(ValueError, match=r"b \(train, test\); c \(validation, test\)\.$"):
        check_speaker_independent(corpus(train=["a", "b"], validation=["c"], test=["b", "c", "d"]))


def test_row_without_speaker_fails_speaker_check():
    with pytest.raises(ValueError, match="'test' has rows without a speaker"):
        check_speaker_independent(corpus(train=["a"], test=["b", None]))


def test_folds_are_read_back_from_their_file(tmp_path):
    write_folds(tmp_path / "folds.json", FOLDS)
    write_folds(tmp_path / "folds.json", FOLDS)  # over another
    assert read_folds(tmp_path / "folds.json") == FOLDS
    assert [path.name for path in tmp_path.iterdir()] == ["folds.json"]


def test_failed_write_keeps_old_folds(tmp_path):
    write_folds(tmp_path / "folds.json", FOLDS)
    with pytest.raises(TypeError):
        write_folds(tmp_path / "folds.json", {"one": {"train": {"a set"}}})
    assert read_folds(tmp_path / "folds.json") == FOLDS
    assert [path.name for path in tmp_path.iterdir()] == ["folds.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
        ("[" * 100_000, "is not a JSON file"),
        ("[]", "must hold folds by name"),
        (json.dumps({"one": {"train": ["a"], "test": ["b"]}}), "'one' needs the splits train, validation, test"),
        (json.dumps({"one": FOLDS["one"] | {"test": []}}), "the split 'test' of the fold 'one' must be a list of ids"),
        (
            json.dumps({"one": FOLDS["one"] | {"test": [1]}}),
            "the split 'test' of the fold 'one' must be a list of ids",
        ),
        (json.dumps({"one": FOLDS["one"] | {"test": ["a"]}}), "the fold 'one' has 'a' twice"),
    ],
)
def test_invalid_fold_file_gives_one_sentence(tmp_path, content, message):
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_folds(tmp_path / "folds.json")


def test_fold_file_that_is_fifo_is_refused(tmp_path):
    os.mkfifo(tmp_path / "folds.json")
    with pytest.raises(FileNotFoundError, match=r"There is no file .*folds\.json"):
        read_folds(tmp_path / "folds.json")


def test_texts_seen_ignore_case_and_punctuation():
    train = Dataset.from_dict({"text": ["Don't go!", None, "...", "Well,  then."]})
    test = Dataset.from_dict({"text": ["DONT GO", "well then", "Well, go.", None, "?!", "Ah"]})
    assert texts_seen(DatasetDict(train=train, test=test)) == [True, True, False, False, False, False]


def test_rows_are_described_for_breakdown():
    columns = {"text": ["Don't go!", "Well, go."], "scripted": [True, None]}
    corpus = DatasetDict(train=Dataset.from_dict(columns).select([0]), test=Dataset.from_dict(columns))
    assert describe_rows(corpus) == {"text_seen": [True, False], "scripted": [True, None]}
