"""The columns of the metadata of a folder: their names on the Hub, and columns that are not read."""

import json

import pytest
from emofusion.corpora import load_corpus
from emofusion.corpora.folder.corpus import FOLDER
from testing_folder import make_folder, make_rows, write_metadata

HUB = {"text": "transcription", "label": "emotion", "speaker": "speaker_id"}
KINDS = ["csv", "jsonl", "parquet"]


def renamed(rows, names):
    return [{names.get(column, column): value for column, value in row.items()} for row in rows]


def unread(root, **options):
    found = FOLDER.scan(root, FOLDER.parse(**options))
    rows = list(found.rows)
    return rows, [problem["what"] for problem in found.problems if problem["kind"] == "table with unread columns"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["transcription", "sentence"])
def test_names_of_hub_are_read(tmp_path, kind, text):
    write_metadata(tmp_path, renamed(make_rows(1), HUB | {"text": text}), kind)
    for name in ("sad", "glad"):
        (tmp_path / "audio").mkdir(exist_ok=True)
        (tmp_path / "audio" / f"s0_{name}.wav").touch()
    rows, problems = unread(tmp_path)
    assert [(row["text"], row["label"], row["speaker"]) for row in rows] == [
        ("A sad day, s0.", "sad", "s0"),
        ("A glad day, s0.", "glad", "s0"),
    ]
    assert problems == []


@pytest.mark.parametrize("kind", KINDS)
def test_unread_columns_are_named_once(tmp_path, kind):
    rows = [row | {"age": 40} for row in renamed(make_rows(1), {"text": "Text", "speaker": "Speaker ID"})]
    for split in ("train", "test"):
        write_metadata(tmp_path / split, rows, kind)
    assert unread(tmp_path)[1] == [
        f"train/metadata.{kind} has columns that are not read: 'Text' (did you mean 'text'?), 'Speaker ID' (did you mean "
        "'speaker_id'?), 'age'."
    ]


def test_column_of_single_line_is_named(tmp_path):
    rows = make_rows(1)
    rows[1]["Turn"] = 3
    write_metadata(tmp_path, rows, "jsonl")
    assert unread(tmp_path)[1] == ["metadata.jsonl has columns that are not read: 'Turn' (did you mean 'turn'?)."]


def test_read_column_is_not_suggested_again(tmp_path):
    write_metadata(tmp_path, [row | {"Text": "", "": "0"} for row in make_rows(1)])
    assert unread(tmp_path)[1] == ["metadata.csv has columns that are not read: 'Text'."]


def test_unread_columns_are_named_in_warning_of_training(tmp_path):
    make_folder(tmp_path, renamed(make_rows(), {"text": "Text"}))
    with pytest.warns(
        UserWarning, match=r"1 table with unread columns\. metadata\.csv has columns .*: 'Text' \(did you mean 'te"
    ):
        load_corpus("folder", tmp_path)


def test_unread_columns_are_named_where_splits_cannot_be_drawn(tmp_path):
    make_folder(tmp_path, renamed(make_rows(), {"speaker": "Speaker"}))
    with pytest.raises(ValueError, match=r"in a column 'speaker'\. metadata\.csv has columns .*: 'Speaker' \(did you"):
        load_corpus("folder", tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("one", "other"), [("text", "transcription"), ("emotion", "label"), ("transcription", "sentence")]
)
def test_two_columns_for_one_meaning_are_refused(tmp_path, kind, one, other):
    write_metadata(tmp_path, [{"file_name": "a.wav", one: "x", other: "y"}], kind)
    meaning = "label" if "label" in (one, other) else "text"
    message = rf"metadata\.{kind} has two columns for the {meaning}, '{one}' and '{other}': remove one of them"
    with pytest.raises(ValueError, match=message):
        unread(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_column_that_occurs_twice_is_refused(tmp_path, kind):
    if kind == "csv":
        (tmp_path / "metadata.csv").write_text("file_name,text,text\na.wav,x,y\n")
    elif kind == "jsonl":
        (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav", "text": "x", "text": "y"}\n')
    else:
        import pyarrow
        from pyarrow import parquet

        table = pyarrow.table([["a.wav"], ["x"], ["y"]], names=["file_name", "text", "text"])
        parquet.write_table(table, tmp_path / "metadata.parquet")
    with pytest.raises(ValueError, match=rf"metadata\.{kind}.* has the column 'text' twice: remove one of them"):
        unread(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_file_name_is_suggested(tmp_path, kind):
    write_metadata(tmp_path, renamed(make_rows(1), {"file_name": "filename"}), kind)
    message = r"has no column 'file_name'; it has filename, text, label, speaker; rename 'filename'\."
    with pytest.raises(ValueError, match=message):
        unread(tmp_path)


def test_half_of_character_becomes_question_mark(tmp_path):
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav", "text": "x\\ud800y"}\n')
    (tmp_path / "a.wav").touch()
    assert unread(tmp_path)[0][0]["text"] == "x?y"


def test_nested_values_are_text_as_before(tmp_path):
    (tmp_path / "metadata.jsonl").write_text(json.dumps({"file_name": "a.wav", "extra": {"a": 1}}) + "\n")
    assert unread(tmp_path)[1] == ["metadata.jsonl has columns that are not read: 'extra'."]


def test_damaged_parquet_gives_one_sentence(tmp_path):
    write_metadata(tmp_path, make_rows(1), "parquet")
    path = tmp_path / "metadata.parquet"
    whole, messages = path.read_bytes(), []
    for place in range(0, len(whole), 40):
        path.write_bytes(whole[:place] + b"\xff\xff" + whole[place + 2 :])
        try:
            unread(tmp_path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)
