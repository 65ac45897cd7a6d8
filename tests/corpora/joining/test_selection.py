"""Several corpora in one run: rows, splits, folds and metadata."""

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict
from emofusion.corpora import load_corpus
from emofusion.corpora.folds import check_splits
from emofusion.corpora.joining.overlaps import Part, check_overlaps
from emofusion.corpora.joining.rows import Conversion
from emofusion.corpora.joining.selection import Selection, choose_texts
from emofusion.corpora.schema import features
from testing_folder import make_folder, make_rows
from testing_iemocap import build_iemocap
from testing_meld import make_reencoded

IEMOCAP = {"angry": "anger", "happy": "joy", "sad": "sadness", "neutral": "neutral"}
MELD = dict.fromkeys(("surprise", "disgust", "fear"))
MAPS = {"iemocap": IEMOCAP, "meld": MELD, "folder": {"glad": "joy", "sad": "sadness"}}


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    place = tmp_path_factory.mktemp("joining")
    return {
        "iemocap": build_iemocap(place),
        "meld": make_reencoded(place / "meld"),
        "folder": make_folder(place / "own"),
    }


def select(roots, *names, **others) -> Selection:
    maps = {name: MAPS[name] for name in (*names, *others.get("tested", ()))}
    return Selection(**{"names": names, "roots": roots, "label_map": maps} | others)


def test_splits_are_joined_and_names_do_not_collide(roots):
    corpus, metadata = select(roots, "iemocap", "meld").load()
    check_splits(corpus)
    iemocap, meld = load_corpus("iemocap", roots["iemocap"]), load_corpus("meld", roots["meld"])
    used = {"neutral": "neutral", "anger": "anger", "joy": "joy", "sadness": "sadness"}
    for split, rows in corpus.items():
        assert rows.features["label"].names == ["anger", "joy", "neutral", "sadness"]
        kept = [row for row in meld[split] if meld[split].features["label"].names[row["label"]] in used]
        assert rows["id"][:] == [f"iemocap/{name}" for name in iemocap[split]["id"]] + [
            f"meld/{row['id']}" for row in kept
        ]
        assert rows["corpus"][:] == ["iemocap"] * len(iemocap[split]) + ["meld"] * len(kept)
    last = corpus["train"][-1]
    assert (last["speaker"], last["dialogue"], last["session"]) == ("meld/All", "meld/train_dia1", None)
    assert rows.features["label"].names[last["label"]] == "anger"
    first, alone = corpus["train"][0], iemocap["train"][0]
    unchanged = ("audio", "text", "start", "end", "turn", "vad", "alignment", "video", "scripted")
    assert {name: first[name] for name in unchanged} == {name: alone[name] for name in unchanged}
    assert first["session"] == f"iemocap/{alone['session']}"
    # Only MELD's rows of other emotions are dropped; the clip that cannot be decoded is not there at all.
    assert metadata["dropped"] == {"meld": {"surprise": 1, "fear": 1}}
    assert metadata["label_map"]["meld"]["fear"] is None
    assert metadata["label_map"]["iemocap"] == IEMOCAP


def test_recordings_stay_where_they_are(roots):
    corpus, _ = select(roots, "iemocap", "folder").load()
    assert all(Path(file["filename"]).is_file() for file in corpus["train"].cache_files)  # memory-mapped


def test_metadata_is_combined(roots):
    about = select(roots, "iemocap", "meld", options={"iemocap": {"fold": 2}}).describe()
    assert (about["name"], about["corpora"], about["fold"]) == ("iemocap+meld", ["iemocap", "meld"], 2)
    assert about["speaker_independent"] is False  # MELD is not
    assert about["language"] == ["en"]
    assert "University of Southern California" in about["license"]
    assert "affective-meld" in about["license"]
    assert "iemocap: Leave-one-session-out, fold 2 of 5" in about["protocol"]
    assert "meld: The official splits" in about["protocol"]


def test_speaker_independence_of_each_corpus_is_checked(roots, monkeypatch):
    def leaking(name, root, **options):
        corpus = load_corpus(name, root, **options)
        train = corpus["train"].map(lambda row: {"speaker": "Ses01F"})
        return DatasetDict(corpus | {"train": train})

    monkeypatch.setattr("emofusion.corpora.registry.load_corpus", leaking)
    with pytest.raises(ValueError, match=r"^iemocap: Speakers occur in more than one split: Ses01F"):
        select(roots, "iemocap", "meld").load()


def test_other_corpora_are_splits_of_their_own(roots):
    corpus, metadata = select(roots, "iemocap", tested=["meld", "folder"]).load()
    alone = load_corpus("iemocap", roots["iemocap"])
    assert list(corpus) == ["train", "validation", "test", "meld", "folder"]
    assert corpus["train"]["id"][:] == alone["train"]["id"][:]  # as without the other corpora
    assert set(corpus["train"]["corpus"]) == {None}
    assert corpus["meld"]["id"][:] == ["meld/test_dia0_utt0", "meld/test_dia38_utt4"]
    assert corpus["meld"]["corpus"][:] == ["meld", "meld"]
    assert corpus["meld"].features == corpus["train"].features
    assert metadata["name"] == "iemocap"
    assert metadata["tested"]["meld"].startswith("MELD. The official splits")


def test_one_corpus_is_loaded_as_ever(roots):
    corpus, metadata = Selection(names=["meld"], roots=roots).load()
    assert len(corpus["train"].features["label"].names) == 7
    assert corpus["train"]["id"][:] == load_corpus("meld", roots["meld"])["train"]["id"][:]
    assert metadata["title"] == "MELD"
    assert "label_map" not in metadata


def test_labels_of_one_corpus_can_be_mapped(roots):
    corpus, metadata = select(roots, "iemocap", label_map={"iemocap": {"angry": None}}).load()
    assert corpus["test"].features["label"].names == ["happy", "neutral", "sad"]
    assert "/" not in corpus["test"][0]["id"]
    assert sum(metadata["dropped"]["iemocap"].values()) == 10


def test_two_copies_of_a_corpus_have_names(roots, tmp_path):
    places = {"folder:a": roots["folder"], "folder:b": make_folder(tmp_path / "other", make_rows(4))}
    corpus, metadata = Selection(names=list(places), roots=places).load()
    check_splits(corpus, speaker_independent=True)
    assert set(corpus["train"]["corpus"]) == {"folder:a", "folder:b"}
    assert metadata["name"] == "folder:a+folder:b"
    assert metadata["title"] == "a folder of recordings (folder:a) and a folder of recordings (folder:b)"


def test_folds_are_those_of_each_corpus(roots):
    both = select(roots, "iemocap", "folder", options={"folder": {"speaker_folds": 5}})
    assert both.folds() == [{"iemocap": {"fold": n}, "folder": {"fold": n}} for n in range(1, 6)]
    assert select(roots, "iemocap", "meld").folds() == [{"iemocap": {"fold": n}} for n in range(1, 6)]
    assert select(roots, "meld").folds() == [{}]
    other = select(roots, "iemocap", "folder", options={"folder": {"speaker_folds": 3}})
    with pytest.raises(ValueError, match=r"different numbers of folds \(5 of iemocap and 3 of folder\)"):
        other.folds()


def rows_of(**columns) -> Dataset:
    count = len(columns["label"])
    schema = features(["x", "y", "z"])
    blank = dict.fromkeys(schema, [None] * count)
    return Dataset.from_dict(blank | {"id": [f"{n}" for n in range(count)]} | columns, features=schema)


def test_shares_of_dropped_labels_are_divided_among_the_others():
    rows = rows_of(
        label=[0, 1, None, 2, None, 0],
        soft_label=[[0.5, 0.25, 0.25], None, [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]],
    )
    change = Conversion(label_map={"x": "both", "y": "both", "z": None}, classes=["other", "both"])
    changed, dropped = change.convert(rows)
    assert changed["id"][:] == ["0", "1", "2", "5"]
    assert changed["label"][:] == [1, 1, None, 1]
    assert changed["soft_label"][:] == [[0.0, 1.0], None, [0.0, 1.0], None]
    assert dropped == {"z": 1, "no label": 1}
    kept, _ = replace(change, keep_unlabelled=True).convert(rows)
    assert kept["id"][:] == ["0", "1", "2", "4", "5"]
    change = Conversion(label_map={"x": "a", "y": "b", "z": None}, classes=["a", "b"])
    assert change.convert(rows)[0]["soft_label"][0] == pytest.approx([2 / 3, 1 / 3])


def test_dimensions_are_rescaled():
    vad = [{"valence": 1.0, "arousal": 5.0, "dominance": None}, {"valence": 3.0, "arousal": 4.0, "dominance": 2.0}]
    change = Conversion(label_map={name: name for name in "xyz"}, classes=["x", "y", "z"], scale=([1, 5], [1, 7]))
    changed, _ = change.convert(rows_of(label=[0, 1], vad=vad).select([1, 0]))
    assert changed["vad"][:] == [
        {"valence": 4.0, "arousal": 5.5, "dominance": 2.5},
        {"valence": 1.0, "arousal": 7.0, "dominance": None},
    ]


def test_transcripts_are_chosen_by_corpus():
    rows = rows_of(label=[0, 1], text=["good day", "no"], asr_text=["god day", None])
    assert choose_texts(DatasetDict(train=rows), "asr_text")["train"]["text"][:] == ["god day", None]


def test_a_recording_in_different_splits_of_two_corpora_is_refused(tmp_path):
    root, link = make_folder(tmp_path / "own", make_rows(8)), tmp_path / "link"
    link.symlink_to(root)

    def load(*names, folds=(1, 2), tested=(), places=(root, root)):
        every = [*names, *tested]
        options = [{"speaker_folds": 4, "fold": fold} for fold in folds]
        return Selection(
            names=names,
            tested=tested,
            roots=dict(zip(every, places, strict=True)),
            options=dict(zip(every, options, strict=True)),
        ).load()

    with pytest.raises(
        ValueError, match=r"is in the \w+ split of folder:a and in the \w+ split of folder:b, which are join"
    ):
        load("folder:a", "folder:b")
    with pytest.raises(ValueError, match="split of folder:a and in the test split of folder:b"):
        load("folder:a", tested=["folder:b"], places=(root, link))
    with pytest.raises(ValueError, match="in the train split of folder:a and in the train split of folder:b"):
        load("folder:a", "folder:b", folds=(1, 1))
    corpus, _ = load("folder:a", tested=["folder:b"], folds=(1, 1))  # the same test split under other options
    assert len(corpus["folder:b"]) == len(corpus["test"])


def test_recordings_inside_of_rows_and_speakers_of_two_copies_are_compared():
    def part(name, speaker, tested=False, **ids):
        splits = {
            split: rows_of(label=[0] * len(names), id=names, speaker=[speaker] * len(names))
            for split, names in ids.items()
        }
        return Part(name, "ravdess", splits, tested, speaker_independent=True)

    check_overlaps([part("a", "one", train=["x"]), part("b", "one", train=["y"])])
    check_overlaps([part("a", "one", train=["x"]), replace(part("b", "one", test=["y"]), source="other")])
    with pytest.raises(ValueError, match="'x' is in the train split of a and in the test split of b"):
        check_overlaps([part("a", "one", train=["x"]), part("b", "two", test=["x"])])
    with pytest.raises(ValueError, match=r"a and b are copies of one corpus .* different splits: one; give them"):
        check_overlaps([part("a", "one", train=["x"]), part("b", "one", tested=True, test=["y"])])
