"""CMU-MOSEI on a synthetic tree: rows, annotations, folds, options and problems."""

import shutil
import warnings
from pathlib import Path

import pytest
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.cmu_mosei.annotations import Annotation
from emofusion.corpora.cmu_mosei.corpus import CMU_MOSEI
from emofusion.corpora.cmu_mosei.scan import CLASSES, find_label, share_annotation
from emofusion.corpora.cmu_mosei.standard_folds import read_standard_folds
from emofusion.corpora.schema import features
from emofusion.processing import load_audio
from testing_cmu_mosei import SEGMENTS, make_cmu_mosei, write_means

EMOTIONS = ["happiness", "sadness", "anger", "surprise", "disgust", "fear"]
OTHERS = ["12345_0", "12345_1", "x__y_0", "x__y_1"]


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return make_cmu_mosei(tmp_path_factory.mktemp("mosei") / "CMU_MOSEI")


@pytest.fixture
def copy(pristine, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "CMU_MOSEI"))


def read(root, **options):
    found = CMU_MOSEI.scan(root, CMU_MOSEI.parse(**options))
    return {row["id"]: row for row in found.rows}, found.problems


def reasons(problems, kind):
    return [problem["what"] for problem in problems if problem["kind"] == kind]


def test_rows_are_in_schema_in_the_standard_folds(pristine):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*usable rows; problems")
        corpus = load_corpus("cmu_mosei", pristine)
    assert {split: rows["id"][:] for split, rows in corpus.items()} == {
        "train": ["-aB__0"],
        "validation": ["12345_0", "12345_1"],
        "test": ["x__y_0", "x__y_1"],
    }
    assert all(rows.features == features(EMOTIONS) for rows in corpus.values())
    row = corpus["train"][0]
    assert (row["text"], row["label"], row["dialogue"], row["turn"]) == ("I like it.", 0, "-aB_", 0)
    assert (row["start"], row["end"]) == (row["audio"]["start"], row["audio"]["end"]) == (0, 0.3)
    assert len(load_audio(row["audio"], 16000)) == 4800
    assert row["soft_label"] == pytest.approx([6 / 7, 0, 0, 1 / 7, 0, 0], abs=1e-6)
    assert row["vad"] == {"valence": pytest.approx(8 / 3, abs=1e-6), "arousal": None, "dominance": None}
    assert row["speaker"] is row["gender"] is row["video"] is None


def test_segments_are_ordered_and_may_hold_the_separator(pristine):
    rows, _ = read(pristine, labels="sentiment")
    assert list(rows) == ["-aB__0", "-aB__2", "-aB__10", *OTHERS]
    assert rows["-aB__2"]["text"] == "It is ___ late"


@pytest.mark.parametrize(
    ("classes", "names"),
    [
        (2, ["non-negative", "negative", "non-negative", "negative", *["non-negative"] * 3]),
        (3, ["positive", "negative", "neutral", "negative", "neutral", "positive", "positive"]),
        (
            None,
            [
                *("highly positive", "weakly negative", "neutral", "highly negative"),
                *("neutral", "weakly positive", "highly positive"),
            ],
        ),
    ],
)
def test_sentiment_is_divided_into_classes(pristine, classes, names):
    rows, _ = read(pristine, labels="sentiment", classes=classes)
    assert [row["label"] for row in rows.values()] == names


def test_limits_of_seven_classes_are_those_of_the_sdk():
    labels = CLASSES["sentiment"][7]
    values = (-3, -2.1, -2, -1.1, -1, -0.1, 0, 0.1, 1, 1.1, 2, 2.1, 3)
    found = [labels.index(find_label(Annotation(value, ()), labels, "sentiment")) - 3 for value in values]
    assert found == [-3, -3, -2, -2, -1, -1, 0, 1, 1, 2, 2, 3, 3]


def test_raters_sentiments_become_soft_labels(pristine):
    rows, _ = read(pristine, labels="sentiment", classes=3)
    assert rows["-aB__2"]["soft_label"] == pytest.approx([2 / 3, 1 / 3, 0])
    assert share_annotation(Annotation(1.0, ()), CLASSES["sentiment"][3], "sentiment") is None


def test_ties_and_segments_without_emotion_are_dropped_or_kept_on_request(pristine):
    rows, problems = read(pristine)
    assert list(rows) == ["-aB__0", *OTHERS]
    assert reasons(problems, "other emotion") == [
        "-aB__2 is dropped: several emotions are the strongest one.",
        "-aB__10 is dropped: it has no emotion.",
    ]
    in_training = read(pristine, keep_others="train")[0]
    assert list(in_training) == ["-aB__0", "-aB__2", *OTHERS]
    assert in_training["-aB__2"]["label"] is None
    assert in_training["-aB__2"]["soft_label"] == [0, 0.5, 0.5, 0, 0, 0]
    everywhere = read(pristine, keep_others=True)[0]
    assert everywhere["-aB__10"]["label"] is everywhere["-aB__10"]["soft_label"] is None
    with_neutral = read(pristine, classes=7)[0]
    assert with_neutral["-aB__10"]["label"] == "neutral"
    assert with_neutral["-aB__10"]["soft_label"] == [0] * 6 + [1]


def test_means_of_the_sdk_are_found_by_their_times(copy):
    expected = read(copy, labels="sentiment")[0]
    shutil.rmtree(copy / "Raw/Labels")
    write_means(copy / "CMU_MOSEI_Labels.csv")
    rows, problems = read(copy, labels="sentiment")
    assert list(rows) == list(expected)
    for name, row in rows.items():
        assert row["vad"]["valence"] == pytest.approx(expected[name]["vad"]["valence"], abs=1e-5)
        assert row["soft_label"] is None
    assert reasons(problems, "unlabelled") == ["-aB__3 is dropped: it has no annotation."]


def test_problems_of_a_copy_are_listed(pristine):
    _, problems = read(pristine)
    assert reasons(problems, "unread table") == [
        f"Labels/workers.csv is not read: {pristine}/Raw/Labels/workers.csv has no column 'Input.VIDEO_ID'; it has WorkerId, "
        "Country."
    ]
    assert reasons(problems, "incomplete answer") == ["Labels/more.csv, row 21, is no answer: a rating is empty."]
    assert reasons(problems, "unknown split") == ["zz_0 is dropped: zz is in none of the standard folds."]
    assert reasons(problems, "unreadable segment")[0] == (
        "Transcript/Segmented/Combined/-aB_.txt, line 5, is not <video>___<segment>___<start>___<end>___<text>."
    )
    assert len(reasons(problems, "unreadable segment")) == len(SEGMENTS)


@pytest.mark.parametrize(
    "line",
    [
        "-aB____1___nan___2.0___x",
        "-aB____1___0.0___inf___x",
        "-aB____1___2.0___1.0___x",
        "-aB____one___0.0___1.0___x",
        "-aB_",
    ],
)
def test_lines_that_are_no_segments_are_problems(copy, line):
    (copy / "Raw/Transcript/Segmented/Combined/-aB_.txt").write_text(f"{line}\n")
    rows, problems = read(copy)
    assert not any(name.startswith("-aB_") for name in rows)
    assert "line 1" in reasons(problems, "unreadable segment")[0]


def test_videos_are_optional_and_replace_missing_recordings(tmp_path):
    root = make_cmu_mosei(tmp_path / "CMU_MOSEI", videos=True)
    raw = root / "Raw"
    for name in ("-aB_", "12345"):
        (raw / f"Audio/Full/WAV_16000/{name}.wav").unlink()
    rows, problems = read(root)
    whole = rows["-aB__0"]
    assert whole["video"] == whole["audio"] == {
        "path": str(raw / "Videos/Full/Combined/-aB_.mp4"), "start": 0.0, "end": 0.3,
    }  # fmt: skip
    assert rows["x__y_0"]["video"] == {"path": str(raw / "Videos/Segmented/Combined/x__y_0.mp4")}
    assert reasons(problems, "missing audio")[0] == (
        "12345_0 is dropped: there is neither a recording nor a video of 12345."
    )


def test_root_may_be_the_folder_raw(copy, pristine):
    (copy / "cmu_mosei_std_folds.py").rename(copy / "Raw/cmu_mosei_std_folds.py")
    assert list(read(copy / "Raw")[0]) == list(read(pristine)[0])
    with pytest.raises(ValueError, match=r"is one level too deep: give .* as root"):
        read(pristine / "Raw/Audio")
    with pytest.raises(ValueError, match="is not the root of CMU-MOSEI: it has no Raw/Transcript/Segmented/Combined"):
        read(pristine / "Raw/Audio/Full")


def test_folds_and_annotations_are_needed(copy, tmp_path):
    (copy / "cmu_mosei_std_folds.py").rename(tmp_path / "folds.py")
    with pytest.raises(
        FileNotFoundError, match=r"There is no file .*cmu_mosei_std_folds\.py with the standard folds.*copy it"
    ):
        read(copy)
    assert read(copy, standard_folds=str(tmp_path / "folds.py"))[0]
    shutil.rmtree(copy / "Raw/Labels")
    with pytest.raises(
        ValueError, match=r"has no annotations: there is no CMU_MOSEI_Labels\.csv, and Labels has no answers"
    ):
        read(copy, standard_folds=str(tmp_path / "folds.py"))


@pytest.mark.parametrize(
    "content",
    [
        "import os\nos.system('touch ran')\n",
        "standard_train_fold=[open('ran', 'w')]\nstandard_valid_fold=['a']\nstandard_test_fold=['b']\n",
        "standard_train_fold=['a']\nstandard_valid_fold=['a']\nstandard_test_fold=['b']\n",
        "standard_train_fold=['a']\nstandard_valid_fold=[1]\nstandard_test_fold=['b']\n",
        "standard_train_fold=['a'\n",
        "\x00",
        "(" * 5000,
    ],
)
def test_a_spoiled_file_of_folds_is_refused_and_never_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cmu_mosei_std_folds.py"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=r"cmu_mosei_std_folds\.py .*https://github.com/CMU-MultiComp-Lab/CMU-MultimodalSDK\.$"
    ):
        read_standard_folds(path)
    assert not (tmp_path / "ran").exists()


def test_a_value_outside_of_its_scale_is_refused_in_a_table_of_means(copy):
    write_means(path := copy / "CMU_MOSEI_Labels.csv")
    path.write_text(path.read_text().replace("12345,0.0,0.501,-3.0", "12345,0.0,0.501,-4"))
    with pytest.raises(
        ValueError, match=r"CMU_MOSEI_Labels\.csv, row 4, cannot be read: '-4' is not a number from -3 to 3"
    ):
        read(copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "mood"}, "labels of CMU-MOSEI are 'emotion' or 'sentiment', not 'mood'"),
        ({"classes": 3}, "classes of emotion must be 6, 7, not 3"),
        ({"labels": "sentiment", "classes": 6}, "classes of sentiment must be 2, 3, 7, not 6"),
        ({"keep_others": "test"}, "keep_others must be true, false or 'train', not 'test'"),
        ({"labels": "sentiment", "keep_others": True}, "keep_others is given, but every segment has a class"),
    ],
)
def test_invalid_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CMU_MOSEI.parse(**options)


def test_description_and_published_counts_follow_the_labels():
    assert describe_corpus("cmu_mosei")["title"] == "CMU-MOSEI (6 classes of emotion)"
    assert describe_corpus("cmu_mosei")["dimension_scale"] == [-3, 3]
    assert CMU_MOSEI.published_counts(CMU_MOSEI.parse()) == {}
    counts = CMU_MOSEI.published_counts(CMU_MOSEI.parse(labels="sentiment"))
    assert sum(count["all"] for count in counts.values()) == 22860
