"""Proof that the members of a late fusion know nothing of its splits, from `splits.json` and `results.json` of each."""

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora.folds import digest_ids, write_folds
from emofusion.evaluation.metadata import CorpusMetadata, SplitCounts
from emofusion.training.late_fusion.proof import warn_of_unproven
from huggingface_hub import constants
from testing_results import make_results

SPLITS = {"train": ["a", "b"], "validation": ["c"], "test": ["d"]}
# A fold with the same training split: leave-one-speaker-out over sessions of two speakers.
SWAPPED = {"train": ["a", "b"], "validation": ["d"], "test": ["c"]}
OTHER = {"train": ["a", "d"], "validation": ["c"], "test": ["b"]}


@pytest.fixture
def prove(tmp_path):
    """A function that proves a member with these splits for a fusion with `SPLITS`."""

    def prove(splits, corpus="spoken", is_published=False, joined=(), fusion=()):
        results = make_results("adapter", "text")
        results.corpus = CorpusMetadata(name=corpus, fold=2, corpora=list(joined))
        results.data = {name: SplitCounts(digest=digest_ids(ids)) for name, ids in splits.items()}
        results.write(tmp_path)
        if not is_published:
            write_folds(tmp_path / "splits.json", {"2": splits})
        rows = DatasetDict({name: Dataset.from_dict({"id": ids}) for name, ids in SPLITS.items()})
        metadata = CorpusMetadata(name="spoken", fold=1, corpora=list(fusion))
        return warn_of_unproven({"member": str(tmp_path)}, rows, metadata)

    return prove


@pytest.mark.parametrize("is_published", [False, True])
def test_member_of_the_same_splits_is_proven(prove, is_published):
    assert prove(SPLITS, is_published=is_published) == []


@pytest.mark.parametrize(
    ("splits", "options", "message"),
    [
        (OTHER, {}, "1 of its training utterances are in the test split of fold 1, as 'd'"),
        (SWAPPED, {}, "1 of its validation utterances are in the test split of fold 1, as 'd'"),
        (OTHER, {"corpus": "folder"}, "1 of its training utterances are in the test split of fold 1, as 'd'"),
        # Ids of joined corpora begin with the name of the corpus.
        (
            {split: [f"spoken/{name}" for name in ids] for split, ids in OTHER.items()},
            {"corpus": "meld+spoken", "joined": ["meld", "spoken"]},
            "1 of its training utterances are in the test split of fold 1, as 'spoken/d'",
        ),
        (
            OTHER,
            {"corpus": "meld+spoken", "joined": ["meld", "spoken"], "is_published": True},
            r"nothing proves that it was not trained on",
        ),
        (SWAPPED, {"is_published": True}, r"nothing proves that it was not trained on .* it has no splits\.json"),
    ],
)
def test_member_that_saw_the_test_split_is_refused(prove, splits, options, message):
    with pytest.raises(ValueError, match=message):
        prove(splits, **options)


def test_member_of_the_hub_whose_results_cannot_be_read_is_refused(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        ValueError, match=r"^results\.json of the member someone/model is not in the cache and the Hub"
    ):
        warn_of_unproven({"model": "someone/model"}, DatasetDict(), CorpusMetadata())
