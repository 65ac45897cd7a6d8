"""MSP-Podcast on a synthetic tree: rows, votes, partitions, options and problems."""

import shutil
import warnings
from pathlib import Path

import pytest
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.folds import check_splits
from emofusion.corpora.msp_podcast.corpus import MSP_PODCAST, PUBLISHED
from emofusion.corpora.schema import features
from testing_msp_podcast import CODES, ROWS, TEST3, make_msp_podcast, name_of, write_table, write_votes

LABELS = ["anger", "sadness", "happiness", "surprise", "fear", "disgust", "contempt", "neutral"]
UNAGREED, OTHER, UNAGREED_DEV = "MSP-PODCAST_0001_0010_0002", "MSP-PODCAST_0001_0011", "MSP-PODCAST_0002_0009"


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return make_msp_podcast(tmp_path_factory.mktemp("msp") / "MSP-PODCAST")


@pytest.fixture
def copy(pristine, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "MSP-PODCAST"))


def read(root, **options):
    found = MSP_PODCAST.scan(root, MSP_PODCAST.parse(**options))
    return {row["id"]: row for row in found.rows}, found.problems


def load(root, **options):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*usable rows; problems")
        return load_corpus("msp_podcast", root, **options)


def kinds(problems, known=False):
    return sorted({problem["kind"] for problem in problems if problem["known"] == known})


def reasons(problems, kind):
    return [problem["what"] for problem in problems if problem["kind"] == kind]


@pytest.fixture(scope="session")
def corpus(pristine):
    return load(pristine)


def test_rows_are_in_schema_in_the_official_partitions(corpus):
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 8, "validation": 8, "test": 8}
    assert all(rows.features == features(LABELS) for rows in corpus.values())
    assert corpus["train"]["label"][:] == list(range(8))
    row = corpus["train"][0]
    assert (row["speaker"], row["gender"], row["session"], row["dialogue"], row["turn"]) == (
        *("7", "female", "Train", "MSP-PODCAST_0001"),
        0,
    )
    assert row["vad"] == {"valence": 3.6, "arousal": 4.2, "dominance": 5.0}
    assert set(corpus["test"]["session"]) == {"Test1"}


@pytest.mark.parametrize(("test", "count"), [("Test2", 7), (["Test1", "Test2"], 15), ("Test3", 2)])
def test_the_test_split_is_chosen(pristine, test, count):
    rows = load(pristine, test=test)["test"]
    assert len(rows) == count
    assert set(rows["session"]) == ({test} if isinstance(test, str) else {*test})


def test_recordings_of_test3_are_only_for_prediction(pristine):
    corpus = load(pristine, test="Test3")
    assert corpus["test"]["id"][:] == list(TEST3)
    assert set(corpus["test"]["label"]) == {None}
    with pytest.raises(ValueError, match="No utterance of the split 'test' has a label"):
        check_splits(corpus)


def test_transcripts_lose_tags_and_may_be_missing_or_in_another_encoding(pristine):
    rows, problems = read(pristine)
    first, second, third = (rows[name_of(row)]["text"] for row in ROWS[:3])
    assert (first, second, third) == ("Well, this is number 0.", "At the café.", None)
    assert reasons(problems, "missing transcript") == [
        "MSP-PODCAST_0001_0003 has no text: there is no Transcripts/MSP-PODCAST_0001_0003.txt."
    ]


def test_alignments_are_read_with_syllables(pristine):
    rows, problems = read(pristine)
    assert rows[name_of(ROWS[0])]["alignment"]["syllable"] == {"start": [0.02], "end": [0.08], "symbol": ["D EY1"]}
    assert rows[name_of(ROWS[1])]["alignment"] is None
    (reason,) = reasons(problems, "unreadable alignment")
    assert reason.startswith("MSP-PODCAST_0001_0002 is kept without alignment: ")


@pytest.mark.parametrize("form", ["detail", "columns", "text"])
def test_votes_become_soft_labels_from_every_published_form(copy, form):
    (copy / "Labels/labels_detailed.csv").unlink()
    write_votes(copy / "Labels", form)
    rows, _ = read(copy, keep_others="train")
    assert rows[name_of(ROWS[0])]["soft_label"] == [0.75, 0, 0, 0, 0, 0, 0, 0.25]
    assert rows[UNAGREED]["soft_label"] == [0, 0.5, 0.5, 0, 0, 0, 0, 0]
    assert rows[OTHER]["soft_label"] == [0, 0, 0, 0, 0, 0, 0, 1]


def test_turns_without_class_are_dropped_with_reason(pristine):
    rows, problems = read(pristine)
    assert not {UNAGREED, OTHER, UNAGREED_DEV} & rows.keys()
    assert (
        "labels_consensus.csv, row 9, is dropped: MSP-PODCAST_0001_0010_0002 is labelled X (no agreement), which is "
        in (reasons(problems, "other emotion")[0])
    )


def test_turns_without_class_are_kept_on_request(pristine):
    train = read(pristine, keep_others="train")[0]
    assert {name for name in (UNAGREED, OTHER, UNAGREED_DEV) if name in train} == {UNAGREED, OTHER}
    everywhere = read(pristine, keep_others=True)[0]
    assert everywhere[UNAGREED_DEV]["label"] is None
    assert everywhere[UNAGREED_DEV]["vad"]["valence"] == 3.0
    assert everywhere[UNAGREED]["speaker"] is everywhere[UNAGREED]["gender"] is None
    assert everywhere[UNAGREED]["turn"] == 8


def test_other_emotions_of_four_classes_are_kept_for_their_votes(pristine):
    rows, _ = read(pristine, classes=4, keep_others="train")
    fear, anger = name_of(ROWS[4]), name_of(ROWS[0])
    assert rows[anger]["label"] == "anger"
    assert rows[fear]["label"] is None
    assert rows[fear]["soft_label"] == [0, 0, 1, 0]  # anger, happiness, neutral, sadness
    assert name_of(ROWS[14]) not in rows  # in Development


def test_all_labels_have_classes(pristine):
    rows, problems = read(pristine, classes="all")
    assert rows[UNAGREED]["label"] == "no agreement"
    assert rows[OTHER]["label"] == "other"
    assert rows[OTHER]["soft_label"][-2:] == [0.8, 0]
    assert not reasons(problems, "other emotion")


def test_votes_are_needed_to_keep_turns_for_them(copy):
    (copy / "Labels/labels_detailed.csv").unlink()
    assert read(copy)[0][name_of(ROWS[0])]["soft_label"] is None
    with pytest.raises(
        ValueError, match=r"Labels has neither labels_detailed\.csv nor labels\.txt, which keep_others=train"
    ):
        read(copy, keep_others="train")


def test_problems_of_a_copy_are_listed(pristine):
    _, problems = read(pristine)
    assert kinds(problems) == ["missing audio", "unlabelled", "unreadable alignment"]
    assert kinds(problems, known=True) == [
        *("missing transcript", "no label", "other emotion", "shared speakers", "unknown speakers")
    ]
    assert reasons(problems, "shared speakers") == ["Test2 and Test1 have speakers in common: 1, for example 9."]
    assert reasons(problems, "unknown speakers") == ["Train: the speakers of 1 of 10 turns are unknown."]
    assert reasons(problems, "unlabelled") == [
        "MSP-PODCAST_0009_0001.wav is ignored: labels_consensus.csv has no row for it."
    ]
    assert all(problem["dropped"] for problem in problems if problem["kind"] == "unlabelled")


def test_speakers_of_training_in_other_partitions_are_a_problem_of_the_copy(copy):
    write_table(copy / "Labels", [*ROWS[:-1], ("0002_0010", "N", 4, 4, 4, 7, "Female", "Development")])
    found = [problem for problem in read(copy)[1] if problem["kind"] == "shared speakers"]
    assert [(problem["what"], problem["known"]) for problem in found] == [
        ("Development and Train have speakers in common: 1, for example 7.", False),
        ("Test2 and Test1 have speakers in common: 1, for example 9.", True),
    ]


def test_rows_with_invalid_values_are_dropped_or_kept_without_them(copy):
    bad = [
        ("0001_0001", "A", "", 7.5, "nan", 7, "Female", "Train"),
        ("0001_0001", "A", 4, 4, 4, 7, "Female", "Train"),
        ("0001_0002", "Z", 4, 4, 4, 7, "Female", "Train"),
        ("0001_0003", "N", 4, 4, 4, 7, "Female", "Dev"),
        ("../../0001_0004", "N", 4, 4, 4, 7, "Female", "Train"),
        ("0001_0005", "N", 4, 4, 4, 7, "Female", "Train"),
    ]
    write_table(copy / "Labels", bad)
    rows, problems = read(copy)
    assert [name for name in rows if name not in TEST3] == ["MSP-PODCAST_0001_0001", "MSP-PODCAST_0001_0005"]
    assert rows["MSP-PODCAST_0001_0001"]["vad"] is None
    assert reasons(problems, "unreadable rating") == [
        "MSP-PODCAST_0001_0001 is kept without valence: its EmoVal '7.5' is not a number from 1 to 7.",
        "MSP-PODCAST_0001_0001 is kept without dominance: its EmoDom 'nan' is not a number from 1 to 7.",
    ]
    assert {"duplicate", "unknown label", "unknown split", "unreadable turn"} <= {*kinds(problems)}
    assert reasons(problems, "unknown label") == [
        "labels_consensus.csv, row 3, is dropped: the EmoClass 'Z' of MSP-PODCAST_0001_0002 is none of A, S, H, U, F, D, C, "
        "N, O, X."
    ]


def test_folders_of_their_own_and_the_old_spelling_are_found(copy):
    for folder in ("Labels", "Audios", "Transcripts", "ForceAligned"):
        (copy / folder).rename(copy / "moved")
        (copy / folder).mkdir()
        (copy / "moved").rename(copy / folder / folder)
    (copy / "Labels/Labels/labels_consensus.csv").rename(copy / "Labels/Labels/labels_concensus.csv")
    rows, _ = read(copy)
    row = rows[name_of(ROWS[0])]
    assert row["text"]
    assert row["soft_label"]
    assert row["alignment"]


def test_optional_folders_may_be_missing(copy):
    for folder in ("Transcripts", "ForceAligned"):
        shutil.rmtree(copy / folder)
    rows, problems = read(copy)
    assert rows[name_of(ROWS[0])]["text"] is None
    assert len(reasons(problems, "missing folder")) == 2
    assert not reasons(problems, "missing transcript")


def test_a_wrong_root_is_refused_with_hint(pristine, tmp_path):
    with pytest.raises(ValueError, match=r"is one level too deep: give .*MSP-PODCAST as root"):
        read(pristine / "Audios")
    with pytest.raises(ValueError, match=r"is not the root of MSP-Podcast: it has no Labels/labels_consensus\.csv"):
        read(tmp_path)
    write_table(tmp_path / "Labels")
    with pytest.raises(FileNotFoundError, match="has no folder Audios with recordings"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 5}, "classes must be 8, 4 or 'all', not 5"),
        ({"classes": True}, "classes is True; it must be"),
        ({"keep_others": "test"}, "keep_others must be true, false or 'train', not 'test'"),
        ({"keep_others": True, "classes": "all"}, "keep_others is given, but classes is 'all'"),
        ({"test": "Test4"}, "test must be one or some of Test1, Test2, Test3, not 'Test4'"),
        ({"test": []}, "test must be one or some of Test1"),
        ({"test": ["Test1", "Test1"]}, "test must be one or some of Test1"),
        ({"test": [["Test1"]]}, "test must be one or some of Test1"),
        ({"release": 1.5}, "release must be '1.11' or '1.12', not '1.5'"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MSP_PODCAST.parse(**options)


def test_published_counts_are_those_of_a_release_with_all_turns():
    counts = PUBLISHED["1.11"]
    assert sum(count for name, count in counts.items() if name != "all") == counts["all"]
    for options in ({}, {"release": "1.11"}, {"classes": "all"}, {"release": "1.11", "keep_others": "train"}):
        assert MSP_PODCAST.published_counts(MSP_PODCAST.parse(**options)) == {}
    for options in ({"classes": "all"}, {"keep_others": True}):
        found = MSP_PODCAST.published_counts(MSP_PODCAST.parse(release=1.11, **options))
        assert found["Development"] == {"all": 19815}
    assert MSP_PODCAST.published_counts(MSP_PODCAST.parse(release="1.12", classes="all")) == {"all": {"all": 207136}}


def test_description_states_scale_and_test_set():
    description = describe_corpus("msp_podcast", test=["Test1", "Test2"])
    assert description["dimension_scale"] == [1, 7]
    assert "Test1 and Test2 the test split" in description["protocol"]
    assert description["speaker_independent"] is False
    assert len(CODES) == 8
