from types import SimpleNamespace

import pytest
from emofusion.benchmarks import training_run
from emofusion.benchmarks.training_run import MODEL, Stopwatch


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(training_run.time, "perf_counter", lambda: now.seconds)
    monkeypatch.setattr(training_run.time, "process_time", lambda: now.seconds / 2)
    return now


def test_a_part_is_timed_without_the_parts_inside_it(clock):
    def wait(seconds):
        clock.seconds += seconds

    def outer():
        wait(1)
        work.inner(2)
        wait(4)
        work.inner(8)

    work, watch = SimpleNamespace(outer=outer, inner=wait), Stopwatch()
    watch.time(work, "inner", lambda seconds: "long" if seconds > 5 else "short")
    watch.time(work, "outer", "outer")
    work.outer()
    wait(16)
    work.inner(32)
    assert watch.seconds == {"outer": [5, 2.5], "short": [2, 1], "long": [40, 20]}


def test_every_timed_call_exists():
    parts = []

    class Watch:
        def time(self, owner, name, part):
            assert callable(getattr(owner, name))
            parts.append(part)

    training_run._time_parts(Watch())
    assert set(MODEL) - {"forward", "forward, evaluation"} < {part for part in parts if isinstance(part, str)}


def test_the_table_adds_up_what_is_not_the_model():
    table = training_run._shares_table(
        "text", {"forward": [6, 3], "backward": [2, 1], "saving": [1, 3], "end": [1, 1]}
    )
    rows = {row["what"]: row for row in table["rows"]}
    assert list(rows) == ["forward", "backward", "saving", "end", "else", "run"]
    assert rows["else"] == {"what": "else", "s": 2, "%": 20, "processor s": 4, "processor %": 50}
