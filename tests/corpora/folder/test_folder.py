import os
import warnings

import pytest
from emofusion.corpora import describe_corpus, list_folds, load_corpus
from emofusion.corpora.folder.corpus import FOLDER
from emofusion.corpora.folds import check_speaker_independent, write_folds
from emofusion.corpora.schema import features
from emofusion.processing import load_audio
from emofusion.processing.video import load_video
from testing_folder import add_everything, close, make_folder, make_rows, write_metadata, write_recordings

PARTS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def no_silent_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def with_splits(rows):
    return [row | {"split": PARTS[number % 3]} for number, row in enumerate(rows)]


def scan(root, **options):
    return FOLDER.scan(root, FOLDER.parse(**options))


def read(root, **options):
    found = scan(root, **options)
    return list(found.rows), found.problems


def problems_of(root, **options):
    return [(problem["kind"], problem["what"]) for problem in read(root, **options)[1]]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_rows_are_in_schema_from_every_kind_of_metadata(tmp_path, kind):
    corpus = load_corpus("folder", make_folder(tmp_path / "own", with_splits(make_rows()), kind))
    assert {split: len(rows) for split, rows in corpus.items()} == dict.fromkeys(PARTS, 4)
    assert all(rows.features == features(["glad", "sad"]) for rows in corpus.values())
    row = corpus["train"][0]
    assert (row["id"], row["text"], row["label"], row["speaker"]) == ("audio/s0_sad.wav", "A sad day, s0.", 1, "s0")
    assert load_audio(row["audio"], 16000).shape == (8000,)
    for column in ("gender", "session", "dialogue", "turn", "start", "end", "vad"):
        assert row[column] is None


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_all_columns_of_row_are_read(tmp_path, kind):
    rows = with_splits(make_rows())
    make_folder(tmp_path, rows)
    (tmp_path / "metadata.csv").unlink()
    add_everything(tmp_path, rows)
    write_metadata(tmp_path, rows, kind)
    corpus = load_corpus("folder", tmp_path)
    grid, sphinx, bare = corpus["train"][0], corpus["validation"][0], corpus["test"][0]
    assert (grid["turn"], grid["dialogue"], grid["session"]) == (3, "d", "7")
    assert load_video(grid["video"], 10).shape == (5, 32, 32, 3)
    assert grid["alignment"] == {
        "word": {"start": [0.1], "end": [0.4], "symbol": ["day"]},
        "syllable": {"start": [0.1], "end": [0.4], "symbol": ["d eɪ"]},
        "phone": {"start": [0.1, 0.2], "end": [0.2, 0.4], "symbol": ["d", "eɪ"]},
    }
    assert sphinx["alignment"]["word"] == {"start": [0.0, 0.1], "end": [0.1, 0.4], "symbol": ["<s>", "DAY"]}
    assert sphinx["alignment"]["syllable"]["symbol"] == ["SIL", "D EY"]
    assert sphinx["alignment"]["phone"]["end"] == [0.1, 0.2, 0.4]
    assert bare["video"] is bare["alignment"] is bare["turn"] is None


def test_splits_may_have_own_metadata(tmp_path):
    rows = make_rows()
    for split, chosen in zip(("train", "dev", "test"), (rows[:4], rows[4:6], rows[6:]), strict=True):
        make_folder(tmp_path / split, chosen)
    corpus = load_corpus("folder", tmp_path)
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 4, "validation": 2, "test": 6}
    assert corpus["validation"][0]["id"] == "dev/audio/s2_sad.wav"


def test_folder_of_recording_may_name_its_split(tmp_path):
    rows = make_rows(3)
    for row, split in zip(rows, ("train", "train", "val", "val", "test", "test"), strict=True):
        row["file_name"] = f"{split}/{row['file_name']}"
    corpus = load_corpus("folder", make_folder(tmp_path, rows))
    assert corpus["validation"]["speaker"][:] == ["s1", "s1"]


def test_missing_splits_are_drawn_by_speaker(tmp_path):
    make_folder(tmp_path)
    corpus = load_corpus("folder", tmp_path, test_share=0.3, seed=1)
    speakers = check_speaker_independent(corpus)
    assert {split: len(names) for split, names in speakers.items()} == {"train": 3, "validation": 1, "test": 2}
    again = load_corpus("folder", tmp_path, test_share=0.3, seed=1)
    assert again["test"]["id"][:] == corpus["test"]["id"][:]
    others = {tuple(sorted(set(load_corpus("folder", tmp_path, seed=seed)["test"]["speaker"]))) for seed in range(3)}
    assert len(others) > 1


def test_missing_validation_split_comes_from_train(tmp_path):
    rows = [row | {"split": "test" if row["speaker"] in ("s4", "s5") else "train"} for row in make_rows()]
    corpus = load_corpus("folder", make_folder(tmp_path, rows))
    assert {split: len(rows) for split, rows in corpus.items()} == {"train": 6, "validation": 2, "test": 4}
    assert set(corpus["test"]["speaker"]) == {"s4", "s5"}


@pytest.mark.parametrize("change", [{"speaker": ""}, {"speaker": "everybody"}])
def test_splits_cannot_be_drawn_without_speakers(tmp_path, change):
    make_folder(tmp_path, [row | change for row in make_rows()])
    with pytest.raises(
        ValueError, match=r"has no split 'test', and it cannot be drawn by speaker: .* column 'speaker'"
    ):
        load_corpus("folder", tmp_path)


def test_labels_keep_given_order_and_others_are_reported(tmp_path):
    rows = with_splits(make_rows(9))
    rows[5]["label"] = "bored"
    rows[7]["label"] = " "
    make_folder(tmp_path, rows)
    with pytest.warns(
        UserWarning, match=r"has 16 usable rows; problems: 1 unknown label, 1 no label\. .*problems\.txt lists them"
    ):
        corpus = load_corpus("folder", tmp_path, labels=["sad", "glad"])
    assert corpus["train"].features["label"].names == ["sad", "glad"]
    assert problems_of(tmp_path, labels=["sad", "glad"]) == [
        ("unknown label", "metadata.csv, row 6, is dropped: its label 'bored' is none of sad, glad."),
        ("no label", "metadata.csv, row 8, has no label: training leaves it out."),
    ]


@pytest.mark.parametrize("labels", ["sad", {"sad", "glad"}, ["sad", False], ["sad", "sad"]])
def test_labels_that_are_not_list_of_names_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match=r"labels .*must be a list"):
        load_corpus("folder", make_folder(tmp_path), labels=labels)


def test_every_row_is_used_or_reported(tmp_path):
    rows = with_splits(make_rows(6))
    make_folder(tmp_path, rows)
    rows[0]["split"] = "practice"
    rows[1]["split"] = ""
    rows[2]["file_name"] = rows[3]["file_name"]
    rows[4]["file_name"] = "audio/nowhere.wav"
    rows[5]["file_name"] = ""
    (tmp_path / rows[6]["file_name"]).unlink()
    (tmp_path / rows[6]["file_name"]).mkdir()
    write_metadata(tmp_path, rows)
    usable, problems = read(tmp_path)
    assert [row["id"] for row in usable] == [row["file_name"] for row in (rows[2], *rows[7:])]
    kinds = ["unknown split", "unknown split", "duplicate", "missing", "missing", "missing"]
    assert [problem["kind"] for problem in problems] == kinds
    for number, problem in zip((1, 2, 4, 5, 6, 7), problems, strict=True):
        assert problem["what"].startswith(f"metadata.csv, row {number}, is dropped: ")
        assert (problem["file"], problem["dropped"], problem["known"]) == ("metadata.csv", True, False)
    assert "its split 'practice' is none of train" in problems[0]["what"]
    assert "its split is unknown" in problems[1]["what"]


def test_recording_without_permission_is_left_out(tmp_path, monkeypatch):
    rows = make_rows()
    make_folder(tmp_path, rows)
    close(monkeypatch, {str(tmp_path.resolve() / rows[1]["file_name"])})
    usable, (problem,) = read(tmp_path)
    assert len(usable) == 11
    assert (problem["kind"], problem["id"], problem["dropped"]) == ("no permission", "audio/s0_glad.wav", True)


def test_unknown_splits_are_reported(tmp_path):
    make_folder(tmp_path, [row | {"split": "practice"} for row in make_rows()])
    rows, problems = read(tmp_path)
    assert not rows
    assert {problem["kind"] for problem in problems} == {"unknown split"}


def test_gender_is_read_in_any_spelling(tmp_path):
    rows = [
        row | {"gender": cell} for row, cell in zip(make_rows(3), ("F", "male", " Female", "m", "", "x"), strict=True)
    ]
    usable, problems = read(make_folder(tmp_path, rows))
    assert [row["gender"] for row in usable] == ["female", "male", "female", "male", None, None]
    assert [problem["what"] for problem in problems] == [
        "metadata.csv, row 6, is kept without gender: 'x' is neither female nor male."
    ]


def test_rows_are_kept_without_invalid_values(tmp_path):
    rows = with_splits(make_rows(6))
    make_folder(tmp_path, rows)
    add_everything(tmp_path, rows)
    (tmp_path / "day.TextGrid").write_text("no grid")
    (tmp_path / "day.txt").touch()
    rows[1]["alignment_file_name"] = "gone.TextGrid"
    rows[1]["video_file_name"] = "gone.mp4"
    rows[2] |= {"turn": "second", "alignment_file_name": "day.txt"}
    rows[3]["turn"] = "-1"
    write_metadata(tmp_path, rows)
    usable, problems = read(tmp_path)
    assert len(usable) == 12
    assert [(problem["kind"], problem["what"].split(":")[0]) for problem in problems] == [
        ("unreadable", "metadata.csv, row 1, is kept without alignment"),
        ("missing", "metadata.csv, row 2, is kept without video"),
        ("missing", "metadata.csv, row 2, is kept without alignment"),
        ("unreadable", "metadata.csv, row 3, is kept without turn"),
        ("unreadable", "metadata.csv, row 3, is kept without alignment"),
        ("unreadable", "metadata.csv, row 4, is kept without turn"),
    ]
    assert all(row["alignment"] is None for row in usable)
    assert [row["video"] is None for row in usable] == [False] + 11 * [True]


@pytest.mark.parametrize("column", ["file_name", "video_file_name", "alignment_file_name"])
@pytest.mark.parametrize(
    "name",
    [
        *("../outside.wav", "audio/../../outside.wav", "{root}/audio/s0_sad.wav", "/etc/hostname", "a\0b", ".", ".."),
        *(
            "..\\outside.wav",
            "audio\\..\\..\\outside.wav",
            "C:\\outside.wav",
            "c:outside.wav",
            "\\\\host\\share\\a.wav",
        ),
    ],
)
def test_paths_out_of_folder_are_refused(tmp_path, name, column):
    root, rows = tmp_path / "own", make_rows(2)
    write_metadata(root, rows)
    rows[2][column] = name.format(root=root)
    (root / "metadata.csv").unlink()
    write_metadata(root, rows, "jsonl")
    with pytest.raises(ValueError, match=rf"metadata\.jsonl, row 3: the {column} .* leads out of the folder"):
        scan(root)


def test_paths_may_lead_to_other_folders_of_root(tmp_path):
    rows = make_rows()
    write_recordings(tmp_path, rows)
    for row in rows:
        row["file_name"] = f"../{row['file_name']}"
    write_metadata(tmp_path / "train", [*rows, rows[0] | {"file_name": "..\\audio\\s0_sad.wav"}])
    usable, problems = read(tmp_path)
    assert len(usable) == 12
    assert [problem["kind"] for problem in problems] == ["duplicate"]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_files_of_hub_snapshot_are_links_to_blobs(tmp_path, kind):
    snapshot = make_folder(tmp_path / "snapshots" / "1a2b", with_splits(make_rows()), kind)
    (tmp_path / "blobs").mkdir()
    for number, file in enumerate(path for path in snapshot.rglob("*") if path.is_file()):
        os.symlink(os.path.relpath(file.rename(tmp_path / "blobs" / str(number)), file.parent), file)
    assert {split: len(rows) for split, rows in load_corpus("folder", snapshot).items()} == dict.fromkeys(PARTS, 4)


def test_linked_folder_is_followed_and_watched(tmp_path):
    rows, root = with_splits(make_rows()), tmp_path / "own"
    write_metadata(root, rows)
    write_recordings(tmp_path / "disk", rows)
    os.symlink(tmp_path / "disk" / "audio", root / "audio")
    os.symlink(root, root / "circle")
    assert load_corpus("folder", root)["train"][0]["id"] == "audio/s0_sad.wav"
    (tmp_path / "disk" / "audio" / "s1_sad.wav").unlink()
    with pytest.warns(UserWarning, match="1 missing"):
        load_corpus("folder", root)


def test_broken_link_is_reported(tmp_path):
    rows = make_rows(1)
    make_folder(tmp_path, rows)
    (tmp_path / rows[0]["file_name"]).unlink()
    os.symlink("nowhere.wav", tmp_path / rows[0]["file_name"])
    what = "metadata.csv, row 1, is dropped: audio/s0_sad.wav is a link to a file that does not exist."
    assert problems_of(tmp_path) == [("missing", what)]


def test_numbers_in_parquet_become_names(tmp_path):
    rows = [
        row | {"speaker": 10.0 + number, "label": number % 2} for number, row in enumerate(with_splits(make_rows()))
    ]
    for number, row in enumerate(rows):
        row["session"] = float("nan") if number % 2 else 1.5
    rows[3]["speaker"] = None
    corpus = load_corpus("folder", make_folder(tmp_path, rows, "parquet"))
    assert corpus["train"]["speaker"][:] == ["10", None, "16", "19"]
    assert corpus["train"].features["label"].names == ["0", "1"]
    assert corpus["train"]["session"][:] == ["1.5", None, "1.5", None]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.csv", b"", "metadata.csv has no column 'file_name'; it has none"),
        ("metadata.csv", b"file,label\na.wav,sad\n", "metadata.csv has no column 'file_name'; it has file, label"),
        ("metadata.csv", b"file_name,label\na.wav,sad,\n", "metadata.csv, row 1, has more fields than the header"),
        ("metadata.csv", b"file_name\n\xff.wav\n", "metadata.csv is not UTF-8"),
        ("metadata.jsonl", b'{"file": "a.wav"}\n', "metadata.jsonl has no column 'file_name'"),
        ("metadata.jsonl", b'{"file_name": "a.wav"}\n{"file_name"\n', "metadata.jsonl, line 2, is not JSON"),
        ("metadata.jsonl", b'["a.wav"]\n', "metadata.jsonl, line 1, is not a mapping"),
        ("metadata.jsonl", b'{"file_name": "\xff.wav"}\n', "metadata.jsonl is not UTF-8"),
        ("metadata.parquet", b"no parquet", "metadata.parquet is not a Parquet file"),
    ],
)
def test_unreadable_metadata_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        scan(tmp_path)  # before a row is read
    assert "\n" not in str(error.value)


def test_two_metadata_files_are_refused(tmp_path):
    make_folder(tmp_path)
    write_metadata(tmp_path / "train", make_rows())
    with pytest.raises(ValueError, match=r"metadata\.csv and .*train/metadata\.csv both describe the folder"):
        scan(tmp_path)
    write_metadata(tmp_path / "train", make_rows(), "jsonl")
    (tmp_path / "metadata.csv").unlink()
    with pytest.raises(ValueError, match=r"metadata\.csv and .*metadata\.jsonl both describe the folder"):
        scan(tmp_path)


def test_wrong_root_is_refused_with_hint(tmp_path):
    root = make_folder(tmp_path / "up" / "own")
    with pytest.raises(ValueError, match=rf"one level too high: give {root} as root"):
        load_corpus("folder", root.parent)
    with pytest.raises(ValueError, match=rf"one level too deep: give {root} as root"):
        load_corpus("folder", root / "audio")
    with pytest.raises(ValueError, match=r"is not the root of your corpus: it has no metadata\.csv"):
        load_corpus("folder", tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder"):
        load_corpus("folder", tmp_path / "nowhere")
    with pytest.raises(ValueError, match="Give the folder of your corpus as root"):
        load_corpus("folder")


def test_folder_without_usable_row_is_refused(tmp_path):
    write_metadata(tmp_path, [row | {"file_name": ""} for row in make_rows()])
    with pytest.raises(
        ValueError, match=r"no utterance that can be used\. .* first of 12 problems: metadata\.csv, row 1, is dropped"
    ):
        load_corpus("folder", tmp_path)


def test_classes_come_from_metadata(tmp_path):
    rows = make_rows()
    rows[0]["label"] = "bored"
    make_folder(tmp_path, rows)
    assert scan(tmp_path).labels == ["bored", "glad", "sad"]
    assert scan(tmp_path, labels=["sad"]).labels == ["sad"]
    assert scan(tmp_path).sources == [tmp_path.resolve()]
    assert FOLDER.published_counts(FOLDER.parse(labels=["sad"])) == {}


def test_description_names_seed_of_splits():
    about = describe_corpus("folder", labels=["sad"], seed=3)
    assert (about["name"], about["demonstration"]) == ("folder", False)
    assert "(seed 3)" in about["protocol"]


def test_fold_file_replaces_splits(tmp_path):
    rows = make_rows()
    make_folder(tmp_path / "own", with_splits(rows))
    ids = [row["file_name"] for row in rows]
    fold = {"train": ids[4:], "validation": ids[:2], "test": ids[2:4]}
    write_folds(tmp_path / "folds.json", {"a": {**fold, "train": ids[5:]}, "b": fold})
    corpus = load_corpus("folder", tmp_path / "own", fold_file=str(tmp_path / "folds.json"), fold=2)
    assert {split: rows["id"][:] for split, rows in corpus.items()} == fold
    with pytest.warns(UserWarning, match=f"fold 1: 1 utterances are in none of its splits, for example {ids[4]}"):
        load_corpus("folder", tmp_path / "own", fold_file=str(tmp_path / "folds.json"))
    assert list_folds("folder", fold_file=str(tmp_path / "folds.json")) == [{"fold": 1}, {"fold": 2}]
    assert "fold 2 in folds.json" in describe_corpus("folder", fold_file="a/folds.json", fold=2)["protocol"]
    for wrong in (0, 3):
        with pytest.raises(ValueError, match=r"fold must be from 1 to 2, the number of folds in .*folds\.json"):
            load_corpus("folder", tmp_path / "own", fold_file=str(tmp_path / "folds.json"), fold=wrong)
