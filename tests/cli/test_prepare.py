import os

import pytest
from emofusion import load_corpus
from emofusion.cli.main import main
from testing_acted import make_acted
from testing_folder import make_folder, make_rows, write_metadata
from testing_iemocap import build_iemocap
from testing_meld import make_raw
from testing_recognisers import save_ctc

RENDERED = True

few_films = pytest.mark.filterwarnings("ignore:IEMOCAP has .* missing video:UserWarning")


@few_films
def test_iemocap_counts_are_shown_with_the_published_ones(tmp_path, call):
    printed = call("prepare", "iemocap", build_iemocap(tmp_path), "--out", tmp_path / "out", "--classes", 6)
    assert "IEMOCAP with six classes: 72 utterances" in printed
    (line,) = (line for line in printed.splitlines() if line.startswith("Ses03"))
    assert " ".join(line.split()) == "Ses03 6 (320) 2 (382) 2 (240) 2 (305) 2 (151) 2 (135) 16 (1,533)"
    assert "Dropped: 10 other emotion" in printed
    assert "Kept, with a problem: 11 missing video, 2 published without words" in printed
    assert f"All problems: {tmp_path / 'out' / 'problems.txt'}" in printed
    assert len(load_corpus("iemocap", tmp_path / "out", classes=6, fold=2)["test"]) == 14


@pytest.mark.filterwarnings("ignore:MELD has:UserWarning")
def test_meld_is_counted_per_split(tmp_path, call):
    root = make_raw(tmp_path / "MELD.Raw")
    printed = call("prepare", "meld", root, "--out", tmp_path / "out", "--max-seconds", 3)
    assert "MELD: 7 utterances" in printed
    (line,) = (line for line in printed.splitlines() if line.startswith("validation"))
    assert line.split()[-2:] == ["1", "(1,109)"]
    (line,) = (line for line in printed.splitlines() if line.startswith("Dropped: "))
    assert {"1 unreadable", "1 missing", "1 unlabelled"} <= set(line.removeprefix("Dropped: ").split(", "))
    assert "1 too long" in printed
    assert len(load_corpus("meld", tmp_path / "out", max_seconds=3)["test"]) == 2


def table(printed):
    """Return the lines of the table of counts as lists of cells."""
    return [line.split() for line in printed.split("utterances\n\n")[1].split("\n\n")[0].splitlines()]


def test_splits_are_those_of_training(tmp_path, call):
    root, out = make_folder(tmp_path / "own"), tmp_path / "out"
    printed = call("prepare", "folder", root, "--out", out, "--test-share", 0.3, "--seed", 1, "--report")
    assert table(printed) == [
        ["glad", "sad", "all"],
        *(["train", "3", "3", "6"], ["validation", "1", "1", "2"], ["test", "2", "2", "4"], ["all", "6", "6", "12"]),
    ]
    assert "Training uses these splits: train 6, validation 2, test 4. The splits are those of the folder's" in printed
    assert '<th scope="row">validation</th>' in (out / "report.html").read_text()
    loaded = load_corpus("folder", root, test_share=0.3, seed=1)
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6, "validation": 2, "test": 4}


def test_rows_that_training_does_not_use_are_counted(tmp_path, call):
    rows = make_rows()
    rows[0]["label"] = ""
    printed = call("prepare", "folder", make_folder(tmp_path / "own", rows), "--out", tmp_path / "out")
    assert table(printed)[0][-3:] == ["no", "label", "all"]
    assert table(printed)[-2] == ["not", "used", "0", "0", "1", "1"]
    assert "; 1 not used. The splits" in printed
    assert "Kept, with a problem: 1 no label" in printed


@few_films
def test_splits_of_iemocap_follow_its_sessions(tmp_path, call):
    printed = call("prepare", "iemocap", build_iemocap(tmp_path), "--out", tmp_path / "out", "--no-decode")
    assert (
        "Training uses these splits: train 38, validation 12, test 12. Leave-one-session-out, fold 1 of 5" in printed
    )


@pytest.mark.filterwarnings("ignore:The folder .* unread columns:UserWarning")
def test_unlabelled_folder_is_prepared_and_transcribed_but_not_trained_on(tmp_path, call):
    root = make_folder(tmp_path / "own", [{"file_name": row["file_name"], "Text": "x"} for row in make_rows(1)])
    model = save_ctc(tmp_path / "model")
    printed = call("prepare", "folder", root, "--out", tmp_path / "out", "--transcribe", model, "--report")
    assert table(printed) == [["no", "label", "all"], ["undivided", "2", "2"], ["all", "2", "2"]]
    assert (
        "Training cannot use this corpus yet: No utterance of the split 'test' has a label, which training" in printed
    )
    assert "metadata.csv has columns that are not read: 'Text' (did you mean 'text'?).\nNo row has a" in printed
    assert "Kept, with" not in printed
    assert "no label" in (tmp_path / "out" / "report.html").read_text()
    assert all(load_corpus("folder", tmp_path / "out")["test"]["asr_text"])


def test_a_folder_without_problems_says_so(tmp_path, call):
    printed = call("prepare", "folder", make_folder(tmp_path / "own"), "--embed-audio", "--labels", "[sad, glad]")
    assert "a folder of recordings: 12 utterances" in printed
    assert "No problems." in printed
    assert "published" not in printed


def test_transcripts_and_a_report_are_added(tmp_path, call):
    model = save_ctc(tmp_path / "model")
    printed = call(
        "prepare",
        "folder",
        make_folder(tmp_path / "own"),
        "--out",
        tmp_path / "out",
        "--report",
        "--transcribe",
        model,
    )
    assert f"Word error rate of {model} against the transcripts of the corpus:" in printed
    (line,) = (line for line in printed.splitlines() if line.endswith("  train"))
    assert line.split()[1:3] == ["32", "8"]
    assert "<svg" in (tmp_path / "out" / "report.html").read_text()
    assert all(text is not None for text in load_corpus("folder", tmp_path / "out")["train"]["asr_text"])


@few_films
def test_written_folds_are_read_back(tmp_path, call):
    root, file = build_iemocap(tmp_path), tmp_path / "folds.json"
    printed = call("prepare", "iemocap", root, "--folds", file, "--protocol", "leave-one-speaker-out")
    assert f"The ids of the utterances of 10 folds are in {file}." in printed
    given = load_corpus("iemocap", root, fold_file=file, fold=3)
    made = load_corpus("iemocap", root, protocol="leave-one-speaker-out", fold=3)
    assert {split: rows["id"][:] for split, rows in given.items()} == {
        split: rows["id"][:] for split, rows in made.items()
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fifo", "fifo is a fifo, not a plain file: give another name."),
        ("folder", "folder is a folder, not a plain file: give another name."),
        ("/dev/stdout", "/dev/stdout is in /dev, a folder of the system: give another."),
        ("nowhere/folds.json", "nowhere is not a folder: create it first"),
    ],
)
def test_folds_replace_plain_files_only_and_are_checked_first(tmp_path, complaint, name, reason):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    file = tmp_path / name
    assert reason in complaint("prepare", "folder", tmp_path / "root", "--folds", file)
    assert (tmp_path / "fifo").is_fifo()


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("/proc/x", "/proc/x is in /proc, a folder of the system: give another."),
        ("/dev/null", "/dev/null is in /dev, a folder of the system: give another."),
        ("fifo", "fifo is a fifo, not a plain file: give another name."),
        ("file", "file is not a folder: give another name."),
        ("file/out", "file cannot be created (File exists): give another."),
    ],
)
def test_prepared_folder_replaces_nothing_else(tmp_path, complaint, out, reason):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    assert reason in complaint(
        "prepare", "folder", make_folder(tmp_path / "own", make_rows(1)), "--out", tmp_path / out
    )
    assert (tmp_path / "fifo").is_fifo()


def change_rows(tmp_path, change):
    """Write a valid folder, then metadata with changed rows."""
    rows = make_rows()
    change(rows)
    make_folder(tmp_path / "own", make_rows())
    write_metadata(tmp_path / "own", rows)
    return "folder", tmp_path / "own"


def no_such_root(tmp_path):
    return "iemocap", tmp_path / "nowhere"


def wrong_root(tmp_path):
    (tmp_path / "music").mkdir()
    return "meld", tmp_path / "music"


def too_deep(tmp_path):
    return "iemocap", build_iemocap(tmp_path) / "Session1"


def too_high(tmp_path):
    (tmp_path / "corpora").mkdir()
    make_raw(tmp_path / "corpora" / "MELD.Raw")
    return "meld", tmp_path / "corpora"


def no_column(tmp_path):
    root = make_raw(tmp_path / "MELD.Raw")
    table = root / "dev_sent_emo.csv"
    table.write_text(table.read_text().replace("Emotion", "Feeling"))
    return "meld", root


def escape_upwards(tmp_path):
    return change_rows(tmp_path, lambda rows: rows[3].update(file_name="../secret.wav"))


def escape_absolutely(tmp_path):
    return change_rows(tmp_path, lambda rows: rows[3].update(file_name="/etc/passwd"))


def escape_with_backslashes(tmp_path):
    return change_rows(tmp_path, lambda rows: rows[3].update(file_name="..\\secret.wav"))


def no_row(tmp_path):
    return change_rows(tmp_path, lambda rows: [row.update(file_name="") for row in rows])


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (no_such_root, "nowhere is not a folder; give one with Session1 to Session5 as root."),
        (wrong_root, "music is not the root of MELD: it has no train_sent_emo.csv"),
        (too_deep, "Session1 is one level too deep: give "),
        (too_high, "corpora is one level too high: give "),
        (no_column, "dev_sent_emo.csv has no column 'Emotion'; it has "),
        (escape_upwards, "metadata.csv, row 4: the file_name '../secret.wav' leads out of the folder"),
        (escape_absolutely, "metadata.csv, row 4: the file_name '/etc/passwd' leads out of the folder"),
        (escape_with_backslashes, "metadata.csv, row 4: the file_name '..\\\\secret.wav' leads out of the folder"),
        (no_row, "own has no utterance that can be used. The first of 12 problems: metadata.csv, row 1, is dropped"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, complaint, spoil, reason):
    name, root = spoil(tmp_path)
    assert reason in complaint("prepare", name, root, "--out", tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name and path.suffix != ".lock"]


@pytest.mark.parametrize(
    "options",
    [
        *(("--classes", "5"), ("--max-seconds", "0"), ("--max-seconds", "-3"), ("--max-seconds", "1e-9")),
        *(("--prefix-half", "upper"), ("--alignment-offset", ".nan"), ("--keep-events", "maybe")),
    ],
)
def test_a_wrong_option_is_refused_in_one_sentence(tmp_path, complaint, options):
    message = complaint("prepare", "iemocap", build_iemocap(tmp_path), *options)
    assert options[0].strip("-").replace("-", "_") in message.replace("-", "_")


def test_help_lists_the_options_of_the_corpus(capsys):
    with pytest.raises(SystemExit):
        main(["prepare", "iemocap", "--help"])
    printed = capsys.readouterr().out
    assert "options of iemocap" in printed
    assert "--alignment-offset" in printed


def test_acted_corpus_is_counted_and_reported(tmp_path, call):
    root, out = make_acted(tmp_path / "copy", "crema_d"), tmp_path / "out"
    printed = call("prepare", "crema_d", root, "--out", out, "--report", "--protocol", "published-split")
    (line,) = (line for line in printed.splitlines() if line.startswith("female"))
    assert " ".join(line.split()).endswith("4 (600) 8 (3,512)")
    assert "The unofficial split of audEERING's conversion: the test split has 17 speakers" in printed
    assert "No problems." in printed
    assert '<th scope="row">female</th>' in (out / "report.html").read_text("utf-8")
