"""A few inputs of the fuzzer for every entry point, and its own parts; `make fuzz` runs all of it."""

import os
import signal
import time
from pathlib import Path

import pytest
from fuzz.judging import judge_error
from fuzz.plan import describe, plan_cases
from fuzz.running import INTACT, prepare, run
from fuzz.target import GOOD, Spoiled, Target, Verdict
from fuzz.targets import TARGETS

# Trainings and pictures take seconds each; `make fuzz` has them.
SLOW = {"train", "resume", "pictures", "report", "adapter-merge"}
QUICK = [target for target in TARGETS if target.name not in SLOW]
CASES = plan_cases(QUICK, [], 45)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def prepared(folder):
    """The targets with their valid inputs, and the outcomes of these where they are wrong, by name."""
    fixtures, wrong = prepare(QUICK, folder)
    return {fixture.target.name: fixture for fixture in fixtures}, {outcome.target: outcome for outcome in wrong}


@pytest.mark.parametrize("name", [target.name for target in QUICK])
def test_spoiled_inputs_give_right_answers_or_one_sentence(name, prepared, folder):
    fixtures, wrong = prepared
    assert name not in wrong, describe(wrong[name], 0, trace=True)
    outcomes = run([(fixtures[name], number) for number in CASES[name]], 0, folder)
    bad = [describe(outcome, 0) for outcome in outcomes if outcome.verdict not in GOOD]
    assert not bad, "\n".join(bad)


def fail(kind):
    """Behave as a faulty entry point."""
    ways = {
        "exit": lambda: os._exit(3),
        "crash": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "memory": lambda: bytearray(2**40),
        "eats": lambda: len(b"x" * 2**27),
        "outside": lambda: Path("/tmp/fuzz-was-here").write_text("x"),
        "error": lambda: {}["x"],
        "value": lambda: int("x"),
    }
    return ways[kind]() if kind in ways else kind


FAULTS = {
    "exit": Verdict.TRACEBACK,
    "crash": Verdict.TRACEBACK,
    "error": Verdict.TRACEBACK,
    "memory": Verdict.MEMORY,
    "eats": Verdict.MEMORY,
    "outside": Verdict.SILENT,
    "value": Verdict.FOREIGN,
    "another answer": Verdict.SILENT,
    "right": Verdict.RIGHT,
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_put_into_their_classes(kind, tmp_path, monkeypatch):
    monkeypatch.setattr("fuzz.running.RESIDENT", 2**26)
    target = Target("faulty", "tests", lambda _: "right", lambda *_: Spoiled(kind, kind, keeps=True), fail)
    fixtures, wrong = prepare([target], tmp_path)
    assert not wrong
    (outcome,) = run([(fixtures[0], 0)], 0, tmp_path)
    assert outcome.verdict == FAULTS[kind], outcome
    assert not Path("/tmp/fuzz-was-here").exists()


@pytest.mark.parametrize(
    ("wait", "limit"),
    [(lambda: time.sleep(60), "WALL_SECONDS"), (lambda: [0 for _ in iter(int, 1)], "CPU_SECONDS")],
    ids=["waits", "computes"],
)
def test_hangs_are_ended(wait, limit, tmp_path, monkeypatch):
    target = Target("slow", "tests", lambda _: "", lambda *_: Spoiled("", "x"), lambda value: value and wait())
    begin = time.monotonic()
    fixtures, _ = prepare([target], tmp_path)
    # A process has many times the time that it took to come as far as the call.
    monkeypatch.setattr(
        f"fuzz.running.{limit}", 0.5 + 5 * (time.monotonic() - begin) if limit == "WALL_SECONDS" else 1
    )
    (outcome,) = run([(fixtures[0], 0)], 0, tmp_path)
    assert outcome.verdict == Verdict.HANG
    assert ("in <lambda>" in outcome.trace) == (limit == "WALL_SECONDS")  # where it waits


def test_case_is_the_same_in_every_run(tmp_path):
    target = next(target for target in TARGETS if target.name == "corpus-alignments")
    rounds = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        fixtures, _ = prepare([target], tmp_path / str(number))
        rounds.append([outcome.what for outcome in run([(fixtures[0], 4)], 7, tmp_path / str(number))])
    assert rounds[0] == rounds[1]
    assert INTACT not in CASES[target.name]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (ValueError("a.wav is empty: give another file."), Verdict.SENTENCE),
        (FileNotFoundError("a.wav does not exist."), Verdict.SENTENCE),
        (FileNotFoundError(2, "No such file or directory", "a.wav"), Verdict.FOREIGN),
        (ValueError("one line.\nAnother."), Verdict.FOREIGN),
        (ValueError("invalid literal for int() with base 10: 'x'"), Verdict.FOREIGN),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no text."), Verdict.FOREIGN),
        (ValueError("a.json: Expecting value: line 1 column 1 (char 0)"), Verdict.SENTENCE),
        (ValueError("Expecting value: line 1 column 1 (char 0)"), Verdict.FOREIGN),
        (KeyError("x"), Verdict.TRACEBACK),
        (RuntimeError("a.wav is empty."), Verdict.TRACEBACK),
        (ValueError("Could not load model x with any of these\nTraceback\nValueError: x is cut.\n"), Verdict.SENTENCE),
    ],
    ids=str,
)
def test_errors_are_put_into_their_classes(error, verdict):
    assert judge_error(error)[0] == verdict
