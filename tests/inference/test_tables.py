"""Rows and columns of a table, and the files that hold it."""

import csv
import json
import sys
from types import SimpleNamespace

import pytest
from emofusion.inference.recording import Recording
from emofusion.inference.tables import (
    build_row,
    check_table,
    name_columns,
    order_columns,
    restore_answer,
    write_table,
)

BOTH = SimpleNamespace(
    id2label={0: "sad", 1: "text"}, is_regression=False, dimensions=["valence", "score"], dimension_scale=[1.0, 5.0]
)
SCORES = [{"label": "text", "score": 0.75, "silent": True}, {"label": "sad", "score": 0.25, "silent": True}]
VALUES = [{"label": "valence", "score": 4.5, "scale": [1.0, 5.0]}, {"label": "score", "score": 2.0, "scale": [1, 5]}]


def test_columns_are_unique_and_ordered():
    assert order_columns(name_columns(BOTH)) == [
        *("recording", "dialogue", "turn", "start", "end", "speaker", "channel", "text", "label", "score"),
        *("sad", "text_probability", "valence", "score_value", "silent", "error"),
    ]


def test_row_has_probabilities_and_values():
    answer = {"text": "hello", "scores": SCORES, "dimensions": VALUES, "start": 0.0, "end": 2.0}
    assert build_row(Recording("a.wav", speaker="b"), answer, name_columns(BOTH)) == {
        "recording": "a.wav",
        "speaker": "b",
        "start": 0.0,
        "end": 2.0,
        "text": "hello",
        "label": "text",
        "score": 0.75,
        "sad": 0.25,
        "text_probability": 0.75,
        "valence": 4.5,
        "score_value": 2.0,
        "silent": True,
    }


def test_row_of_dimensions_has_no_label():
    config = SimpleNamespace(id2label={0: "valence"}, is_regression=True, dimensions=["valence"])
    row = build_row(Recording("a.wav"), {"text": None, "scores": VALUES[:1]}, name_columns(config))
    assert row == {"recording": "a.wav", "valence": 4.5, "silent": False}


@pytest.mark.parametrize("outputs", [{"scores": SCORES, "dimensions": VALUES}, {"scores": SCORES}, {"scores": VALUES}])
def test_answer_of_pipeline_is_restored_from_its_row(outputs):
    plain = {
        kind: [{name: entry[name] for name in entry if name != "silent"} for entry in entries]
        for kind, entries in outputs.items()
    }
    answer = {"start": 0.5, "end": 2.0, "speaker": "b", "channel": 2, "text": "hello", "silent": True, **plain}
    columns = name_columns(BOTH)
    assert restore_answer(build_row(Recording("a.wav"), answer, columns), columns, (1.0, 5.0)) == answer
    error = {"start": 0.5, "error": "x"}
    assert restore_answer(build_row(Recording("a.wav"), error, columns), columns, None) == error


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_table_is_written(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("emofusion.inference.tables.BLOCK", 2)
    columns = order_columns({"classes": {"sad": "sad"}, "dimensions": {}})
    names = {"recording": 'a, "b"\n', "dialogue": "d", "turn": 2**63 - 1, "channel": 2, "speaker": "é", "text": "t"}
    full = {**names, "start": 0.1, "end": 2.0, "label": "sad", "score": 0.25, "sad": 0.25, "silent": False}
    rows = [full, {"error": "é"}, {"sad": 1 / 3}]
    path = tmp_path / f"scores{suffix}"
    write_table(path, columns, rows)
    if suffix == ".csv":
        with open(path, encoding="utf-8", newline="") as file:
            read = list(csv.DictReader(file))
        expected = [
            {name: {False: "false"}.get(value, str(value)) for name, value in row.items() if value is not None}
            for row in rows
        ]
        assert [{name: value for name, value in row.items() if value} for row in read] == expected
    else:
        lines = [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] if suffix == ".jsonl" else None
        read = lines or pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
        assert read == [dict.fromkeys(columns) | row for row in rows]
    assert list(read[0]) == columns
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_table_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"must end in \.csv, \.jsonl or \.parquet"):
        check_table(tmp_path / "scores.xlsx")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_table(tmp_path / "nowhere" / "scores.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="needs pyarrow"):
        check_table(tmp_path / "scores.parquet")
