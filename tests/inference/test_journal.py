"""The journal of a table: recordings that were scored in part, and what became of them."""

import itertools
import json
import os

import pytest
from emofusion.inference.journal import Part, Place, Scored
from emofusion.inference.scoring_options import ScoringOptions
from testing_scoring import Recogniser, make_recordings, run

WINDOWS = ScoringOptions(window_seconds=0.5)


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def half(tmp_path, monkeypatch):
    """Recordings, of which the first was scored in part by a run that ended, and cannot be read any more."""
    monkeypatch.chdir(tmp_path)
    calls = make_recordings(tmp_path / "calls", 2, seconds=1.5)
    (calls / "bad.wav").write_text("no sound")
    run(Recogniser(), "calls", "scores.jsonl", WINDOWS)
    (tmp_path / "scores.jsonl").unlink()
    shard = tmp_path / "scores.jsonl.journal" / "rows-00000.jsonl"
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"".join(lines[:3]))
    status, content = os.stat(calls / "00.wav"), (calls / "00.wav").read_bytes()

    def write(content):
        (calls / "00.wav").write_bytes(content)
        os.utime(calls / "00.wav", ns=(status.st_atime_ns, status.st_mtime_ns))

    write(bytes(len(content)))
    return tmp_path / "scores.jsonl", lambda: write(content)


def test_recording_that_cannot_be_read_any_more_is_its_good_rows_and_an_error(half):
    table, restore = half
    for _ in range(2):
        assert run(Recogniser(), "calls", "scores.jsonl", WINDOWS).errors == 2
        rows = [(row["recording"][-6:-4], row["start"], row["error"] is not None) for row in read(table)]
        assert rows[:3] == [("00", 0.0, False), ("00", 0.5, False), ("00", None, True)]
        assert rows[3:6] == [("01", 0.0, False), ("01", 0.5, False), ("01", 1.0, False)]
        assert len(rows) == 7
    restore()
    again = Recogniser()
    assert run(again, "calls", "scores.jsonl", WINDOWS).errors == 1
    assert [row["start"] for row in read(table)[:3]] == [0.0, 0.5, 1.0]
    assert ("00.wav", 1.0) in again.seen
    assert ("00.wav", 0.5) not in again.seen


def test_missing_part_is_an_error_of_its_recording_alone(half, monkeypatch):
    table, restore = half
    restore()
    monkeypatch.setattr("emofusion.inference.table_run._score_in_groups", lambda *_: [])
    assert run(Recogniser(), "calls", "scores.jsonl", WINDOWS).errors == 3
    assert [row["start"] for row in read(table)] == [0.0, 0.5, None, None, None]


def test_files_of_processes_may_be_read_in_any_order():
    parts = [Part("a", 0, 2, [{}]), Part("a", 0, 1, [{"error": "x"}]), Part("a", 1, 2, [{"error": "y"}])]
    for order in itertools.permutations(parts):
        scored = Scored({}, order[0].parts)
        for number, part in enumerate(order):
            scored = scored.with_part(part, Place(part.rows, number, part.failed))
        assert scored.is_complete
        assert [place.file for place in scored.rows] == [parts[0].rows, parts[2].rows]
        for part in parts[:2]:
            scored = Scored({}, part.parts)
            for other in (part, parts[1 - parts.index(part)]):
                scored = scored.with_part(other, Place(other.rows, 0, other.failed))
            assert [place.file for place in scored.rows] == [parts[0].rows, parts[1].rows]
