"""A folder without labels: it is prepared, transcribed and loaded for prediction, and training on it is refused."""

import pytest
from emofusion.corpora import load_corpus, prepare_corpus
from emofusion.corpora.folds import check_splits
from emofusion.corpora.transcripts.transcribe import transcribe
from testing_folder import make_folder, make_rows
from testing_recognisers import save_ctc


def without(rows, *columns):
    return [{column: value for column, value in row.items() if column not in columns} for row in rows]


@pytest.mark.parametrize("options", [{}, {"labels": ["glad", "sad"]}])
def test_unlabelled_rows_are_prepared_and_loaded_but_not_trained_on(tmp_path, options):
    root = make_folder(tmp_path / "own", without(make_rows(2), "label", "speaker"))
    prepared = prepare_corpus("folder", root, tmp_path / "out", **options)
    assert prepared.metadata["counts"] == {"train": {"no label": 4}}
    assert [(found["kind"], found["known"]) for found in prepared.problems] == [("no label", True)]
    rows = load_corpus("folder", root, **options)
    assert {split: len(some) for split, some in rows.items()} == {"test": 4}
    assert rows["test"]["label"][:] == [None] * 4
    with pytest.raises(
        ValueError, match=r"^No utterance of the split 'test' has a label, which training needs: add a"
    ):
        check_splits(rows)


def test_unlabelled_splits_are_kept(tmp_path):
    rows = [
        row | {"split": split} for row, split in zip(without(make_rows(1), "label"), ("train", "dev"), strict=True)
    ]
    corpus = load_corpus("folder", make_folder(tmp_path, rows))
    assert {split: len(some) for split, some in corpus.items()} == {"train": 1, "validation": 1}


def test_unlabelled_rows_are_transcribed(tmp_path):
    root = make_folder(tmp_path / "own", without(make_rows(1), "label", "text"))
    transcribe(prepare_corpus("folder", root, tmp_path / "out"), str(save_ctc(tmp_path / "model")))
    assert None not in load_corpus("folder", tmp_path / "out")["test"]["asr_text"][:]


def test_training_leaves_unlabelled_rows_out(tmp_path):
    rows = make_rows()
    rows[4]["label"] = ""
    prepared = prepare_corpus("folder", make_folder(tmp_path / "own", rows), tmp_path / "out")
    assert prepared.metadata["counts"] == {"train": {"glad": 6, "sad": 5, "no label": 1}}
    assert None in prepared.splits["train"]["label"][:]
    with pytest.warns(UserWarning, match="has 11 usable rows; problems: 1 no label"):
        corpus = load_corpus("folder", tmp_path / "out")
    assert sum(map(len, corpus.values())) == 11
    check_splits(corpus)


def test_unlabelled_test_split_is_not_replaced_by_training_rows(tmp_path):
    rows = make_rows()
    for number, row in enumerate(rows):
        row["split"] = ("train", "dev", "test")[number % 3]
        if row["split"] == "test":
            row["label"] = ""
    make_folder(tmp_path, rows)
    with pytest.raises(
        ValueError, match=r"no usable row for the split 'test'\. .* has no label: training leaves it out"
    ):
        load_corpus("folder", tmp_path)
