import json
from collections import Counter

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.folds import (
    carve_validation,
    check_speaker_independent,
    describe_rows,
    k_fold_by_speaker,
    leave_one_session_out,
    leave_one_speaker_out,
    read_folds,
    texts_seen,
    write_folds,
)

# Two speakers in each of four sessions, of whom the first speaks one to four turns and the second two.
ROWS = [
    {"id": f"{session}{speaker}{turn}", "session": session, "speaker": session + speaker}
    for number, session in enumerate("ABCD", start=1)
    for speaker, turns in (("f", number), ("m", 2))
    for turn in range(turns)
]
FOLDS = {"one": {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}}


def corpus(**speakers):
    return DatasetDict({split: Dataset.from_dict({"speaker": names}) for split, names in speakers.items()})


def test_the_proof_lists_the_speakers_of_every_split():
    proof = check_speaker_independent(corpus(train=["b", "a", "b"], test=["c"]))
    assert proof == {"train": ["a", "b"], "test": ["c"]}


def test_crossing_speakers_are_named_with_their_splits():
    with pytest.raises(ValueError, match=r"b \(train, test\); c \(validation, test\)\.$"):
        check_speaker_independent(corpus(train=["a", "b"], validation=["c"], test=["b", "c", "d"]))


def test_a_row_without_a_speaker_forbids_the_proof():
    with pytest.raises(ValueError, match="'test' has rows without a speaker"):
        check_speaker_independent(corpus(train=["a"], test=["b", None]))


def speakers(ids):
    return {name[:2] for name in ids}


@pytest.mark.parametrize(
    "make", [leave_one_session_out, leave_one_speaker_out, lambda rows: k_fold_by_speaker(rows, 3)]
)
def test_in_every_fold_no_speaker_crosses_and_every_row_has_one_place(make):
    folds = make(ROWS)
    for fold in folds.values():
        assert Counter(name for ids in fold.values() for name in ids) == Counter(row["id"] for row in ROWS)
        assert len(set().union(*map(speakers, fold.values()))) == sum(len(speakers(ids)) for ids in fold.values())
        assert all(fold.values())
    assert Counter(name for fold in folds.values() for name in fold["test"]) == Counter(row["id"] for row in ROWS)


def test_the_session_after_the_tested_one_validates():
    folds = leave_one_session_out(ROWS)
    assert {test: {name[0] for name in fold["validation"]} for test, fold in folds.items()} == {
        "A": {"B"}, "B": {"C"}, "C": {"D"}, "D": {"A"},
    }  # fmt: skip


def test_the_other_speaker_of_the_session_validates():
    folds = leave_one_speaker_out(ROWS)
    assert speakers(folds["Bm"]["validation"]) == {"Bf"}
    assert speakers(folds["Bm"]["test"]) == {"Bm"}
    assert list(folds) == ["Af", "Am", "Bf", "Bm", "Cf", "Cm", "Df", "Dm"]


def test_groups_of_speakers_are_about_equal():
    sizes = [len(fold["test"]) for fold in k_fold_by_speaker(ROWS, 4).values()]
    assert sum(sizes) == len(ROWS)
    assert max(sizes) - min(sizes) <= 1


def test_folds_do_not_depend_on_the_order_of_the_rows():
    as_sets = [
        {name: {split: set(ids) for split, ids in fold.items()} for name, fold in leave_one_session_out(rows).items()}
        for rows in (ROWS, ROWS[::-1])
    ]
    assert as_sets[0] == as_sets[1]


@pytest.mark.parametrize(
    "make", [leave_one_session_out, leave_one_speaker_out, lambda rows: k_fold_by_speaker(rows, 4), carve_validation]
)
def test_a_dataset_is_divided_as_its_rows_are_and_not_read_whole(make):
    def refuse(batch):
        raise AssertionError(f"{batch.keys()} were read")

    rows = Dataset.from_list(ROWS)
    assert make(rows.with_transform(refuse)) == make(rows.select(range(len(rows)))) == make(ROWS)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_validation_is_carved_by_speaker(share):
    train, validation = carve_validation(ROWS, share, seed=3)
    assert Counter(train + validation) == Counter(row["id"] for row in ROWS)
    assert not speakers(train) & speakers(validation)
    assert len(validation) >= share * len(ROWS)
    assert (train, validation) == carve_validation(ROWS, share, seed=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: leave_one_session_out(ROWS[:7]), "need a session each; there are 2"),
        (lambda: leave_one_speaker_out(ROWS[:3]), "Leaving out the speaker 'Af' needs .* a second session"),
        (lambda: k_fold_by_speaker(ROWS, 9), "k must be from 3 to the number of speakers, which is 8, not 9"),
        (lambda: k_fold_by_speaker(ROWS, 2), "k must be from 3"),
        (lambda: carve_validation(ROWS[:1]), "takes all 1 speakers: nobody is left"),
        (lambda: carve_validation(ROWS, 1.0), "share must be between 0 and 1, not 1.0"),
        (lambda: carve_validation([{"id": "x", "speaker": None}]), "The row 'x' has no speaker"),
        (lambda: leave_one_session_out([{"id": "x", "session": None}]), "The row 'x' has no session"),
    ],
)
def test_what_cannot_be_divided_is_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_folds_survive_the_file(tmp_path):
    write_folds(tmp_path / "folds.json", FOLDS)
    write_folds(tmp_path / "folds.json", FOLDS)  # over another
    assert read_folds(tmp_path / "folds.json") == FOLDS
    assert [path.name for path in tmp_path.iterdir()] == ["folds.json"]


def test_folds_that_cannot_be_written_leave_the_old_file(tmp_path):
    write_folds(tmp_path / "folds.json", FOLDS)
    with pytest.raises(TypeError):
        write_folds(tmp_path / "folds.json", {"one": {"train": {"a set"}}})
    assert read_folds(tmp_path / "folds.json") == FOLDS
    assert [path.name for path in tmp_path.iterdir()] == ["folds.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
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
def test_a_bad_file_of_folds_is_told_in_one_sentence(tmp_path, content, message):
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_folds(tmp_path / "folds.json")


def test_texts_of_training_are_recognised_whatever_their_case_and_punctuation():
    train = Dataset.from_dict({"text": ["Don't go!", None, "...", "Well,  then."]})
    test = Dataset.from_dict({"text": ["DONT GO", "well then", "Well, go.", None, "?!", "Ah"]})
    assert texts_seen(DatasetDict(train=train, test=test)) == [True, True, False, False, False, False]


def test_rows_of_the_test_are_described_by_what_makes_them_easier():
    columns = {"text": ["Don't go!", "Well, go."], "scripted": [True, None]}
    corpus = DatasetDict(train=Dataset.from_dict(columns).select([0]), test=Dataset.from_dict(columns))
    assert describe_rows(corpus) == {"text_seen": [True, False], "scripted": [True, None]}
