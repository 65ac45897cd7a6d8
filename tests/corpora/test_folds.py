import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.folds import check_speaker_independent


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
