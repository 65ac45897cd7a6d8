"""Protocols that divide rows into folds."""

from collections import Counter

import pytest
from datasets import Dataset
from emofusion.corpora.protocols import (
    carve_validation,
    k_fold_by_speaker,
    leave_one_session_out,
    leave_one_speaker_out,
)

# Four sessions with two speakers each: the first speaker has one to four turns, the second has two.
ROWS = [
    {"id": f"{session}{speaker}{turn}", "session": session, "speaker": session + speaker}
    for number, session in enumerate("ABCD", start=1)
    for speaker, turns in (("f", number), ("m", 2))
    for turn in range(turns)
]


def speakers(ids):
    return {name[:2] for name in ids}


def validate_on_speakers(rows):
    return leave_one_session_out(rows, "speakers")


@pytest.mark.parametrize(
    "make",
    [leave_one_session_out, validate_on_speakers, leave_one_speaker_out, lambda rows: k_fold_by_speaker(rows, 3)],
)
def test_folds_share_no_speaker_and_use_every_row_once(make):
    folds = make(ROWS)
    for fold in folds.values():
        assert Counter(name for ids in fold.values() for name in ids) == Counter(row["id"] for row in ROWS)
        assert len(set().union(*map(speakers, fold.values()))) == sum(len(speakers(ids)) for ids in fold.values())
        assert all(fold.values())
    assert Counter(name for fold in folds.values() for name in fold["test"]) == Counter(row["id"] for row in ROWS)


def test_session_after_test_session_validates():
    folds = leave_one_session_out(ROWS)
    assert {test: {name[0] for name in fold["validation"]} for test, fold in folds.items()} == {
        "A": {"B"}, "B": {"C"}, "C": {"D"}, "D": {"A"},
    }  # fmt: skip


def test_two_speakers_inside_training_sessions_validate():
    folds = validate_on_speakers(ROWS)
    assert {test: speakers(fold["validation"]) for test, fold in folds.items()} == {
        "A": {"Bf", "Cm"}, "B": {"Cf", "Dm"}, "C": {"Df", "Am"}, "D": {"Af", "Bm"},
    }  # fmt: skip
    assert speakers(folds["A"]["train"]) == {"Bm", "Cf", "Df", "Dm"}


def test_other_speaker_of_session_validates():
    folds = leave_one_speaker_out(ROWS)
    assert speakers(folds["Bm"]["validation"]) == {"Bf"}
    assert speakers(folds["Bm"]["test"]) == {"Bm"}
    assert list(folds) == ["Af", "Am", "Bf", "Bm", "Cf", "Cm", "Df", "Dm"]


def test_groups_of_speakers_have_about_equal_size():
    sizes = [len(fold["test"]) for fold in k_fold_by_speaker(ROWS, 4).values()]
    assert sum(sizes) == len(ROWS)
    assert max(sizes) - min(sizes) <= 1


def test_folds_do_not_depend_on_order_of_rows():
    as_sets = [
        {name: {split: set(ids) for split, ids in fold.items()} for name, fold in leave_one_session_out(rows).items()}
        for rows in (ROWS, ROWS[::-1])
    ]
    assert as_sets[0] == as_sets[1]


@pytest.mark.parametrize(
    "make",
    [
        *(leave_one_session_out, validate_on_speakers, leave_one_speaker_out),
        *(lambda rows: k_fold_by_speaker(rows, 4), carve_validation),
    ],
)
def test_dataset_is_divided_like_its_rows(make):
    def refuse(batch):
        raise AssertionError(f"{batch.keys()} were read")

    rows = Dataset.from_list(ROWS)
    assert make(rows.with_transform(refuse)) == make(rows.select(range(len(rows)))) == make(ROWS)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_validation_is_taken_by_speaker(share):
    train, validation = carve_validation(ROWS, share, seed=3)
    assert Counter(train + validation) == Counter(row["id"] for row in ROWS)
    assert not speakers(train) & speakers(validation)
    assert len(validation) >= share * len(ROWS)
    assert (train, validation) == carve_validation(ROWS, share, seed=3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: leave_one_session_out(ROWS[:7]), "need one session each, but there are only 2"),
        (
            lambda: validate_on_speakers(ROWS[:7]),
            "Two sessions with validating speakers are needed beside the test, not 1",
        ),
        (
            lambda: validate_on_speakers([row for row in ROWS if row["speaker"] in ("Af", "Bf", "Cf")]),
            "Leaving out the session 'A' leaves no speaker to train on",
        ),
        (lambda: leave_one_speaker_out(ROWS[:3]), "Leaving out the speaker 'Af' needs .* a second session"),
        (lambda: k_fold_by_speaker(ROWS, 9), "k must be from 3 to 8, the number of speakers, not 9"),
        (lambda: k_fold_by_speaker(ROWS, 2), "k must be from 3"),
        (lambda: carve_validation(ROWS[:1]), "takes all 1 speakers: none remains"),
        (lambda: carve_validation(ROWS, 1.0), "share must be between 0 and 1, not 1.0"),
        (lambda: carve_validation([{"id": "x", "speaker": None}]), "The row 'x' has no speaker"),
        (lambda: leave_one_session_out([{"id": "x", "session": None}]), "The row 'x' has no session"),
    ],
)
def test_indivisible_rows_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
