import shutil
import warnings
from pathlib import Path

import emofusion
import numpy as np
import pytest
import yaml
from emofusion.corpora import describe_corpus, load_corpus
from emofusion.corpora.folds import check_speaker_independent
from emofusion.corpora.meld.corpus import MELD
from emofusion.corpora.schema import features
from emofusion.processing import load_audio
from emofusion.processing.video import load_video
from testing_meld import ROWS, TABLES, VIDEOS, make_raw, make_reencoded, write_tables

RECIPES = sorted((Path(emofusion.__file__).parent / "recipes" / "meld").glob("*.yaml"))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory):
    return make_raw(tmp_path_factory.mktemp("meld") / "MELD.Raw")


@pytest.fixture
def raw(pristine, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "MELD.Raw"))


def scan(root, **options):
    return MELD.scan(root, MELD.parse(**options))


def read(root, **options):
    found = scan(root, **options)
    return list(found.rows), found.problems


@pytest.fixture(scope="session")
def scanned(pristine):
    return read(pristine)


@pytest.fixture(scope="session")
def corpus(pristine):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # all its problems are known
        return load_corpus("meld", pristine, max_seconds=3.0)


def loudest(row):
    samples = load_audio(row["audio"], 16000)
    return np.abs(np.fft.rfft(samples)).argmax() * 16000 / len(samples)


def of_kind(problems, kind):
    return [problem for problem in problems if problem["kind"] == kind]


def test_rows_are_in_schema_with_official_splits(corpus):
    assert {split: rows["id"][:] for split, rows in corpus.items()} == {
        "train": ["train_dia0_utt0", "train_dia0_utt2", "train_dia1_utt0", "train_dia1_utt1"],
        "validation": ["dev_dia0_utt0"],
        "test": ["test_dia0_utt0", "test_dia38_utt4"],
    }
    emotions = ["neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"]
    assert all(rows.features == features(emotions) for rows in corpus.values())
    assert corpus["train"]["label"][:] == [0, 1, 3, 2]
    assert corpus["train"]["speaker"][:] == ["Ada", "Ben", "All", "Ada and Ben"]
    assert corpus["train"]["dialogue"][:] == ["train_dia0", "train_dia0", "train_dia1", "train_dia1"]
    assert corpus["train"]["turn"][:] == [0, 2, 0, 1]
    assert set(corpus["train"]["session"]) == {None}


def test_old_punctuation_is_converted(corpus):
    assert corpus["train"]["text"][:] == ["It’s late, “very” late…", "What a day!", 'She said "no", twice.', "Really?"]


def test_times_begin_with_first_utterance_of_dialogue(corpus):
    assert corpus["train"]["start"][:] == [0.0, 2.1, 0.0, 1.0]
    assert corpus["train"]["end"][:] == [1.5, 3.0, 1.0, 2.0]


def test_clip_is_loaded_whole(corpus):
    row = corpus["train"][0]
    assert row["audio"]["start"] is row["audio"]["end"] is None
    assert row["video"]["path"] == row["audio"]["path"]
    assert loudest(row) == pytest.approx(300, abs=10)
    assert len(load_audio(row["audio"], 16000)) == pytest.approx(8000, abs=2100)  # AAC pads
    assert load_video(row["video"], 10).shape[1:] == (32, 32, 3)


def test_wrong_cut_is_capped(corpus):
    row = corpus["test"][1]
    assert (row["audio"]["start"], row["audio"]["end"]) == (row["video"]["start"], row["video"]["end"]) == (0.0, 3.0)
    assert len(load_audio(row["audio"], 16000)) == 48000
    assert len(load_video(row["video"], 10)) == 30


def test_every_table_row_is_used_or_reported(scanned):
    rows, problems = scanned
    labelled = {f"{split}_dia{row[4]}_utt{row[5]}" for split in ROWS for row in ROWS[split]}
    dropped = {problem["id"] for problem in problems if problem["dropped"]}
    assert {row["id"] for row in rows} | dropped == labelled
    assert not {row["id"] for row in rows} & dropped


def test_unpublished_clip_is_known_problem(scanned, raw):
    (report,) = of_kind(scanned[1], "missing")
    assert (report["id"], report["dropped"], report["known"]) == ("dev_dia110_utt7", True, True)
    assert report["what"].endswith("the clip of dev_dia110_utt7 does not exist (it was never published).")
    (raw / VIDEOS["test"] / "dia38_utt4.mp4").unlink()
    _, other = of_kind(read(raw)[1], "missing")
    assert (other["id"], other["known"]) == ("test_dia38_utt4", False)


def test_missing_clip_gives_warning(raw):
    (raw / VIDEOS["train"] / "dia0_utt2.mp4").unlink()
    with pytest.warns(UserWarning, match=r"^MELD has 6 usable rows; problems: 1 missing\. .*problems\.txt lists them"):
        load_corpus("meld", raw)


def test_unlabelled_clips_are_reported(scanned):
    (found,) = of_kind(scanned[1], "unlabelled")
    assert (found["file"], found["dropped"]) == ("dev_splits_complete/dia66_utt9.mp4", True)
    assert not [problem for problem in scanned[1] if "._" in problem["what"] or "final" in problem["what"]]


def test_twins_are_used_only_on_request(pristine, corpus):
    plain = corpus["test"][0]
    twin, other = (row for row in read(pristine, twins=True, faces=True)[0] if row["split"] == "test")
    assert twin["video"]["crop"] == "face"
    assert plain["audio"]["path"].endswith("/dia0_utt0.mp4")
    assert loudest(plain) == pytest.approx(300, abs=10)
    assert twin["id"] == plain["id"]
    assert loudest(twin) == pytest.approx(900, abs=10)
    assert other["audio"]["path"].endswith("/dia38_utt4.mp4")


def test_sentiment_is_second_label_set(pristine):
    train = load_corpus("meld", pristine, labels="sentiment")["train"]
    assert train.features["label"].names == ["neutral", "positive", "negative"]
    assert train["label"][:] == [0, 1, 2, 1]


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_reencoded_recordings_are_enough(tmp_path, suffix):
    rows, problems = read(make_reencoded(tmp_path / "small", suffix))
    assert len(rows) == 8
    assert [problem["kind"] for problem in problems] == ["missing"]
    assert all(row["audio"]["path"].endswith(suffix) and row["video"] is None for row in rows)
    assert loudest(rows[0]) == pytest.approx(600, abs=10)


def test_with_both_layouts_audio_comes_from_recordings(raw):
    rows, _ = read(make_reencoded(raw))
    assert len(rows) == 8
    assert Path(rows[0]["audio"]["path"]).parent.name == "train"
    assert Path(rows[0]["video"]["path"]).parent.name == "train_splits"


def test_links_to_another_disk_are_followed(raw, tmp_path, scanned):
    clip, folder = raw / VIDEOS["train"] / "dia0_utt0.mp4", raw / VIDEOS["test"]
    clip.symlink_to(clip.rename(tmp_path / "outside.mp4"))
    folder.symlink_to(folder.rename(tmp_path / "clips"))
    assert {row["id"] for row in read(raw)[0]} == {row["id"] for row in scanned[0]}
    (tmp_path / "outside.mp4").unlink()
    _, problems = read(raw)
    assert [problem["file"] for problem in of_kind(problems, "broken link")] == ["train_splits/dia0_utt0.mp4"]
    assert "train_dia0_utt0" in {problem["id"] for problem in of_kind(problems, "missing") if problem["dropped"]}


@pytest.mark.parametrize(
    ("column", "value", "kind", "what"),
    [
        (2, "rage", "unknown label", "row 2, is dropped: 'rage' is none of neutral, joy"),
        (5, 0, "duplicate", "row 2, is dropped: train_dia0_utt0 occurs in an earlier row"),
        (4, "../0", "unreadable", "row 2, is dropped: its ids are '../0' and '2', not numbers"),
        (6, "14:40", "unreadable time", "train_dia0_utt2 has no times: '14:40' to '00:14:41,000' is not a span"),
        (7, "0:14:40,100", "unreadable time", "train_dia0_utt2 has no times"),
    ],
)
def test_bad_cell_is_reported_with_its_row(raw, column, value, kind, what):
    rows = {split: list(rows) for split, rows in ROWS.items()}
    changed = list(rows["train"][1])
    changed[column] = value
    rows["train"][1] = tuple(changed)
    write_tables(raw, rows)
    usable, problems = read(raw)
    (report,) = (problem for problem in problems if problem["kind"] == kind and problem["file"] == TABLES["train"])
    assert what in report["what"]
    assert len([problem for problem in problems if problem["kind"] == "unlabelled"]) == 1 + (
        kind in ("duplicate", "unreadable")
    )
    times = [(row["start"], row["end"]) for row in usable if row["id"] == "train_dia0_utt2"]
    assert times == ([(None, None)] if kind == "unreadable time" else [])


def change(raw, table, old, new):
    path = raw / table
    path.write_bytes(path.read_bytes().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Emotion", b"Feeling", "dev_sent_emo.csv has no column 'Emotion'; it has Sr No., Utterance"),
        (b"Oh no.", b"Oh, no.", "dev_sent_emo.csv, row 1, has more fields than the header"),
        (b"Oh no.", b"Oh \xff", "dev_sent_emo.csv is not UTF-8"),
        (b"Oh no.", b'"Oh no.', "dev_sent_emo.csv is not a CSV file"),
    ],
)
def test_broken_table_is_refused(raw, old, new, message):
    change(raw, "dev_sent_emo.csv", old, new)
    with pytest.raises(ValueError, match=message) as error:
        scan(raw)  # before a row is read
    assert "\n" not in str(error.value)


def test_empty_table_leaves_split_without_rows(raw):
    header = (raw / "dev_sent_emo.csv").read_bytes().splitlines(keepends=True)[0]
    (raw / "dev_sent_emo.csv").write_bytes(header)
    with pytest.raises(ValueError, match="MELD has no usable row for the split 'validation'"):
        load_corpus("meld", raw)


def test_root_one_level_off_is_refused_with_hint(pristine):
    with pytest.raises(ValueError, match=rf"one level too high: give {pristine} as root"):
        load_corpus("meld", pristine.parent)
    with pytest.raises(ValueError, match=rf"one level too deep: give {pristine} as root"):
        load_corpus("meld", pristine / "train_splits")


def test_wrong_root_is_refused(tmp_path, pristine):
    with pytest.raises(ValueError, match=r"is not the root of MELD: it has no train_sent_emo\.csv"):
        load_corpus("meld", tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_corpus("meld", pristine / "train_sent_emo.csv")
    with pytest.raises(ValueError, match="Give the folder of MELD as root"):
        load_corpus("meld")


def test_tables_without_clips_are_refused(raw):
    shutil.rmtree(raw / VIDEOS["dev"])
    with pytest.raises(FileNotFoundError, match="'dev' neither in dev_splits_complete nor in audio/dev"):
        load_corpus("meld", raw)


def test_bad_options_are_refused(pristine):
    with pytest.raises(ValueError, match="'emotion' or 'sentiment', not 'mood'"):
        load_corpus("meld", pristine, labels="mood")
    for seconds in (0, -1.0, float("nan"), "60"):
        with pytest.raises(ValueError, match=r"max_seconds .*must be "):
            load_corpus("meld", pristine, max_seconds=seconds)


def test_published_counts_add_up():
    counts = MELD.published_counts(MELD.parse())
    totals = {"train": 9989, "validation": 1109, "test": 2610}
    assert {split: sum(labels.values()) for split, labels in counts.items()} == totals
    assert counts["train"]["joy"] == 1743
    assert MELD.published_counts(MELD.parse(labels="sentiment")) == {}


def test_sources_are_tables_and_folders_of_clips(raw):
    names = {path.relative_to(raw).as_posix() for path in scan(raw).sources}
    assert names == {*TABLES.values(), *VIDEOS.values()}


def test_protocol_says_that_splits_share_speakers(corpus):
    with pytest.raises(ValueError, match="Speakers occur in more than one split"):
        check_speaker_independent(corpus)
    about = describe_corpus("meld", labels="sentiment", max_seconds=10.0)
    assert (about["title"], about["demonstration"]) == ("MELD (sentiment)", False)
    assert "share their speakers" in about["protocol"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipe_options_match_loader(path):
    options = yaml.safe_load(path.read_text("utf-8")).get("corpus_options", {})
    MELD.parse(**options)
