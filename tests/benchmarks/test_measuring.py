from pathlib import Path

import pytest
from emofusion.benchmarks import corpora, measuring
from emofusion.benchmarks.measuring import compare, format_table, table
from emofusion.benchmarks.subprocess_run import run_in_subprocess


def test_calls_are_timed_in_turn_after_a_warm_up():
    called = []
    rows = compare({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, repeats=2)
    assert called == ["a", "b"] * 3
    assert [row["what"] for row in rows] == ["a", "b"]


def test_a_ratio_is_to_the_first_call(monkeypatch):
    now = iter((0, 0.02, 1, 1.1, 2, 2.04, 3, 3.1, 4, 4.06, 5, 5.2))  # the begin and the end of each call
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: next(now))
    first, second = compare({"short": lambda: None, "long": lambda: None}, repeats=3)
    assert first["ratio"] == 1
    assert [first[name] for name in ("least", "median ms", "most")] == pytest.approx([20, 40, 60])
    assert [second[name] for name in ("least", "median ms", "most", "ratio")] == pytest.approx([100, 100, 200, 2.5])


def test_a_table_is_aligned_and_missing_values_stay_empty():
    rows = [{"what": "short", "ms": 1234.5}, {"what": "much longer", "ms": 0.01234, "rows": 10039}]
    lines = format_table(table("Title", rows, "A note.")).splitlines()
    assert lines == [
        "### Title",
        "",
        "| what        |     ms |   rows |",
        "|-------------|-------:|-------:|",
        "| short       |  1,234 |        |",
        "| much longer | 0.0123 | 10,039 |",
        "",
        "A note.",
    ]


def test_the_memory_of_a_subprocess_excludes_its_parent():
    mine = bytearray(b"x") * 400_000_000
    result, held = run_in_subprocess(corpora.read_all, root=str(Path(__file__).parent))
    assert result["seconds"] > 0
    assert held < len(mine) / 1e6


def test_a_failed_function_is_named():
    with pytest.raises(RuntimeError, match=r"corpora\.open_and_read failed with code 1"):
        run_in_subprocess(corpora.open_and_read, folder="/nowhere")
